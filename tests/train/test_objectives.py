"""Each objective makes a pair out of a text, and only out of that text."""

import random

import numpy as np
import pytest

from train import objectives
from train.objectives import Document, as_conversation, corrupt_spans, number_words, sentences

NOTE = Document(
    "mtsamples",
    "Clinic note\nA visit for knee pain.\n\n"
    "HISTORY OF PRESENT ILLNESS: The patient is a 54-year-old man with knee pain. He denies fever. "
    "He has taken ibuprofen for 3 weeks.\n\n"
    "MEDICATIONS: Ibuprofen 400 mg three times daily.\n\n"
    "ALLERGIES: Penicillin, which gave him a rash.\n\n"
    "PLAN: He will have an x-ray of the knee. He will return in two weeks.",
)
PAGE = Document(
    "medquad",
    "Gout\n\nWhat is (are) Gout ?\nGout is a painful arthritis of the joints. Crystals of uric acid "
    "collect in a joint. The big toe is often the first joint that hurts.\n\n"
    "What are the treatments for Gout ?\nDoctors treat gout with anti-inflammatory medicines. "
    "Losing weight can help. Some people need allopurinol for years.",
)
ARTICLE = Document(
    "pmc_rct_fulltext",
    "Walking before meals and lipids\n\nBackground\n\n"
    + "Lipids rise after meals. Walking may lower them. We asked how long a walk must be. " * 4
    + "\n\nMethods\n\nSixteen men walked for thirty or sixty minutes before two meals. "
    "Blood was drawn before and after. We compared areas under the curve.\n\nConclusions\n\n"
    "Walking for sixty minutes before a meal did not lower lipids in these healthy men.\n\n"
    + "The discussion goes on with other trials. They found small effects. "
    * 5,
)


def made(name, document, tries=200, most=900):
    function = objectives.BY_NAME[name]
    pairs = [function(random.Random(seed), document, most) for seed in range(tries)]
    found = [p for p in pairs if p]
    assert found, f"{name} never made a pair"
    return found


def test_copy_gives_the_text_itself():
    for given, wanted in made("copy", NOTE):
        assert given == f"copy: {wanted}"


def test_copying_with_gaps_only_leaves_words_out():
    for given, wanted in made("copy_with_gaps", NOTE):
        rest = iter(wanted.split(" "))
        assert all(word in rest for word in given.removeprefix("copy: ").split(" ") if word)


def test_find_names_words_of_one_sentence_only():
    for given, wanted in made("find", NOTE):
        keys, _, text = given.removeprefix("find ").partition(": ")
        assert wanted in text
        holding = [s for s in sentences(text) if all(k in s.lower() for k in keys.split(", "))]
        assert holding == [wanted]


def test_a_question_is_asked_of_its_own_answer():
    asked = {wanted for _, wanted in made("question", PAGE)}
    assert asked == {"What is Gout?", "What are the treatments for Gout?"}
    for given, wanted in made("question", PAGE):
        held = "allopurinol" in given or "anti-inflammatory" in given
        assert held == (wanted == "What are the treatments for Gout?")


def test_summaries_are_whole_sentences_of_the_text_or_its_conclusion():
    for given, wanted in made("summarize", ARTICLE):
        assert given.startswith("summarize: ")
        assert all(sentence in ARTICLE.text for sentence in sentences(wanted))


def test_a_note_s_section_is_found_by_its_heading():
    for given, wanted in made("note", NOTE):
        heading = given.removeprefix("note ").partition(":")[0]
        assert f"{heading.upper()}: {wanted}" in NOTE.text


def test_order_puts_the_same_sentences_back():
    for given, wanted in made("order", ARTICLE):
        assert sorted(given.removeprefix("order: ").split()) == sorted(wanted.split())


def test_title_is_the_first_line():
    assert {wanted for _, wanted in made("title", ARTICLE)} == {"Walking before meals and lipids"}


def test_inputs_keep_within_the_room_they_are_given():
    for name in objectives.BY_NAME:
        for document in (NOTE, PAGE, ARTICLE):
            for seed in range(40):
                pair = objectives.BY_NAME[name](random.Random(seed), document, 500)
                if pair and not given_as_conversation(pair):
                    assert len(pair[0]) < 700, (name, len(pair[0]))


def given_as_conversation(pair):
    return "octor" in pair[0]  # the turns' names add to the length


def test_a_section_told_as_a_conversation_keeps_its_facts_and_changes_person():
    told = as_conversation(random.Random(1), "The patient denies chest pain. She takes 5 mg.")
    assert "chest pain" in told.lower()
    seen = " ".join(
        as_conversation(random.Random(s), "The patient is a 54-year-old smoker.") for s in range(30)
    ).lower()
    assert "i am a" in seen
    assert "fifty four year old" in seen
    assert "54-year-old" in seen, "some numbers stay figures"


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (40, "forty"), (76, "seventy six"), (105, "one hundred five"),
     (2009, "two thousand nine"), (1985, "nineteen eighty five"), (2012, "twenty twelve"),
     (1900, "nineteen hundred")],
)  # fmt: skip
def test_numbers_are_spoken(number, words):
    assert number_words(number) == words


@pytest.mark.parametrize(("density", "mean"), [(0.15, 3.0), (0.5, 12.0)])
@pytest.mark.parametrize("length", [24, 100, 400])
def test_span_corruption_loses_nothing(density, mean, length):
    tokens = np.arange(1000, 1000 + length)
    sentinels = list(range(64))
    given, wanted = corrupt_spans(np.random.default_rng(3), tokens, sentinels, density, mean)
    spans, current = {}, None
    for token in wanted:
        if token < 64:
            current = spans.setdefault(int(token), [])
        else:
            current.append(int(token))
    rebuilt = []
    for token in given:
        rebuilt.extend(spans[int(token)] if token < 64 else [int(token)])
    assert rebuilt == tokens.tolist()
    removed = sum(map(len, spans.values()))
    assert removed == max(1, round(length * density))
