"""Our ROUGE is the rouge-score package's, to 1e-9."""

import random

import pytest
from rouge_score import rouge_scorer

from eval.rouge import ROUGE_NAMES, lcs_length, rouge, sentence_lines, tokenize

FIXED = [
    ("No acute disease.", "No acute cardiopulmonary disease."),
    ("1. Mild cardiomegaly.\n2. No effusion.", "1. No effusion.\n2. Mild stable cardiomegaly."),
    ("", "Clear lungs."),
    ("Clear lungs.", "..."),
    ("the the the the", "the cat the"),
    ("Größe: naïve café 5.3 cm", "size of the 5.3 cm naïve lesion"),
    ("What are the treatments for Crohn's disease?", "How is Crohn's disease treated?"),
    ("A.\n\nB.\nA B C.", "C B A.\nA."),
]


def package_scores(output: str, reference: str) -> dict[str, float]:
    scorer = rouge_scorer.RougeScorer(ROUGE_NAMES, use_stemmer=True)
    plain = scorer.score(reference, output)
    lines = scorer.score("\n".join(sentence_lines(reference)), "\n".join(sentence_lines(output)))
    plain["rougeLsum"] = lines["rougeLsum"]
    return {name: 100 * plain[name].fmeasure for name in ROUGE_NAMES}


def random_text(rng: random.Random) -> str:
    words = "no acute a b c effusion effusions left right mild 5.3 mm heart hearts seen the".split()
    sentences = [
        " ".join(rng.choices(words, k=rng.randint(0, 14))) for _ in range(rng.randint(0, 6))
    ]
    return rng.choice(["\n", ". ", ".\n"]).join(s.capitalize() for s in sentences)


@pytest.mark.parametrize(("output", "reference"), FIXED)
def test_equals_the_package_on_fixed_cases(output, reference):
    ours = {name: values[0] for name, values in rouge([output], [reference]).items()}
    assert ours == pytest.approx(package_scores(output, reference), abs=1e-9)


def test_equals_the_package_on_random_texts():
    rng = random.Random(0)
    outputs, references = ([random_text(rng) for _ in range(400)] for _ in range(2))
    ours = rouge(outputs, references)
    for k, (output, reference) in enumerate(zip(outputs, references, strict=True)):
        expected = package_scores(output, reference)
        assert {n: ours[n][k] for n in ROUGE_NAMES} == pytest.approx(expected, abs=1e-9)


def test_a_perfect_output_scores_100():
    text = "1. Small left effusion.\n2. No pneumothorax."
    assert {n: v[0] for n, v in rouge([text], [text]).items()} == dict.fromkeys(ROUGE_NAMES, 100)


def test_lcs_length_is_that_of_the_table():
    assert lcs_length(list("abcbdab"), list("bdcaba")) == 4
    assert lcs_length([], list("ab")) == 0
    assert lcs_length(list("ab"), []) == 0


def test_words_of_up_to_three_letters_are_not_stemmed():
    assert tokenize("Was seen; opacities") == ("was", "seen", "opac")


def test_refuses_sequences_of_different_length():
    with pytest.raises(ValueError, match="2 outputs for 1 references"):
        rouge(["a", "b"], ["a"])
