"""Drawn messages: what is asked can be read in them, and the slips are the message's alone."""

import random
import re
from difflib import get_close_matches

import pytest

from eval.rouge import tokenize
from train.auxiliary import names
from train.messages import _concerns, _Names, concern, messages, remarks, statements
from train.slips import hurried, misspelled, slip
from train.synthetic import grammar

TOPICS = ["Alport syndrome", "Gaucher disease", "hereditary angioedema"]
FOUND = ["I moved here in spring.", "The nurse was kind."]
RULES = grammar("messages")
CLAUSES = re.compile("(?<=symptom)[ns]|(?<=topic)bare")  # the same thing in another form


@pytest.fixture(scope="module")
def rows():
    return list(messages(1500, TOPICS, FOUND))


def test_the_same_seed_draws_the_same_messages(rows):
    assert list(messages(1500, TOPICS, FOUND)) == rows
    assert list(messages(1500, TOPICS, FOUND, seed=1)) != rows


def test_no_slot_is_left_open_and_no_message_comes_twice(rows):
    assert not [row for row in rows if re.search(r"[{}|]", row["input"] + row["target"])]
    assert len({row["input"] for row in rows}) == len(rows) > 1450
    for row in rows:
        assert row["target"].endswith("?") and row["target"][0].isupper(), row


def test_every_intent_of_the_grammar_can_be_drawn(monkeypatch):
    for intent in RULES["intents"]:
        alone = {**RULES, "intents": [intent]}
        monkeypatch.setattr(
            "train.messages.grammar",
            lambda name, a=alone: a if name == "messages" else grammar(name),
        )
        drawn = list(messages(30, TOPICS))
        assert all(row["input"] for row in drawn), intent


@pytest.mark.parametrize("part", sorted(set(grammar("concerns")) - {"slots"}))
def test_every_concern_can_be_drawn_in_all_its_ways(part):
    rules = {**RULES, "concerns": _concerns()}
    for entry in grammar("concerns")[part]:
        told, asked = (set(re.findall(r"\{(\w+)\}", side)) for side in entry.split(" => "))
        assert {CLAUSES.sub("", name) for name in asked} <= {CLAUSES.sub("", name) for name in told}
        for seed in range(12):
            rng = random.Random(seed)
            names = _Names(rng, rules, TOPICS)
            subject, said, target = concern(rng, names, entry)
            question = names.fill(target, told=True)
            assert said and question.endswith("?") and len(question.split()) <= 24, entry
            for text in (subject, *said, question):
                assert not re.search(r"[{}|<>#~]|//|=>|[,?!.][.,]", text), (entry, text)
            for number in re.findall(r"(?<![\w-])\d+(?:\.\d+)?(?![\w-])", question):
                assert number in " ".join([subject, *said]), (entry, question)


def test_the_nth_of_the_question_goes_with_the_nth_of_what_is_said():
    rules = {**RULES, "concerns": _concerns()}
    entry = "S: <#bee|wasp> // Does <#honey|vinegar> help? => Does it help a <#bee|wasp> sting, the <#honey|vinegar>?"
    drawn = set()
    for seed in range(40):
        rng = random.Random(seed)
        subject, said, target = concern(rng, _Names(rng, rules, ()), entry)
        drawn.add(target)
        assert subject.lower() in target and said[0].split()[1] in target
    assert len(drawn) == 4


# how each name may be said: as the question has it, or otherwise
WAYS: dict[str, set[str]] = {}
for slot in ("common", "drug", "surgery"):
    for name in [*TOPICS, *RULES["slots"][slot]]:
        said, _, written = name.partition("|")
        bare = re.sub("^(?:an?|the) ", "", said.lower())
        WAYS.setdefault(written or said, set()).add(bare)


def test_what_the_question_names_is_in_the_message():
    """As it is said, or with one of its words misspelled."""
    rows, kept = list(messages(1500, TOPICS, FOUND)), 0
    for row in rows:
        text = row["input"].lower()
        named = [name for name in WAYS if name in row["target"]]
        for name in named:
            if any(name in other and name != other for other in named):
                continue  # "arthritis" of "rheumatoid arthritis"
            kept += 1
            if any(way in text for way in WAYS[name]):
                continue
            words = re.findall("[a-z]+", text)
            longest = [max(re.findall("[a-z]+", way), key=len) for way in WAYS[name]]
            assert any(get_close_matches(one, words, cutoff=0.7) for one in longest), row
    assert kept > 1000


def test_a_name_stands_for_one_thing_of_a_message(rows):
    for row in rows:
        both = re.match(r"Is there a (?:link|connection) between (.+) and (.+)\?", row["target"])
        assert not both or both[1] != both[2], row


def test_found_sentences_stand_between_and_never_in_the_question(rows):
    assert sum(any(one in row["input"] for one in FOUND) for row in rows) > 300
    assert not [row for row in rows if any(one in row["target"] for one in FOUND)]


def test_remarks_are_sentences_that_ask_for_nothing():
    text = (
        "Hello, I am Kim. My knee swells every evening after work. What can I take for it? "
        "Please advise me soon on this. My father was diagnosed with gout. Thanks for your time!"
    )
    assert remarks([text, text]) == ["My knee swells every evening after work."]


def test_statements_are_the_patient_s():
    said = "Doctor: Do you smoke at all?\nPatient: I quit smoking in the spring. No.\nDoctor: I am glad to hear that."
    assert statements([said], 5) == ["I quit smoking in the spring."]


def test_names_are_of_one_condition():
    assert names(["gout", "Ankle Injuries and Disorders", "Living with HIV", "Brain Diseases"]) == [
        "gout",
        "Brain Diseases",
    ]


def test_a_slip_keeps_the_ends_of_a_word():
    rng = random.Random(0)
    slips = {slip(rng, "warfarin") for _ in range(200)}
    assert len(slips) > 8 and all(one[0] == "w" for one in slips)
    assert all(abs(len(one) - len("warfarin")) <= 1 for one in slips)


def test_a_name_is_misspelled_everywhere_alike():
    wrong = misspelled(random.Random(1), "I take warfarin. Is Warfarin bad?", "warfarin")
    first, second = re.fullmatch(r"I take (\w+)\. Is (\w+) bad\?", wrong).groups()
    assert first == second
    assert misspelled(random.Random(1), "I have ALS.", "ALS") == "I have ALS."


def test_a_hurried_text_says_the_same():
    text = "I am on warfarin because of a clot. Can you tell me about it, please?"
    for seed in range(50):
        words = set(tokenize(hurried(random.Random(seed), text)))
        assert len(words & set(tokenize(text))) > 5
