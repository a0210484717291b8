"""Sentences of a note traced back to the turns that they come from."""

import json

import pytest

from summarizer.windows import turns_of
from train.excerpts import MOST_AROUND, MOST_WORDS, excerpts

TURNS = [
    "Doctor: Good morning.",
    "Patient: Hi.",
    "Doctor: Do you smoke?",
    "Patient: I quit smoking ten years ago.",
    "Doctor: Any chest pain or trouble breathing?",
    "Patient: No, none.",
    "Doctor: What do you take?",
    "Patient: Lisinopril, twenty mg every morning.",
]
TARGET = (
    "She quit smoking 10 years ago. She denies chest pain or trouble breathing. "
    "Lisinopril 20 mg every morning. Her father had colon cancer."
)


def row(**changes):
    return {"id": "r", "input": "\n".join(TURNS), "target": TARGET, "section": "GENHX"} | changes


def test_each_excerpt_holds_the_turns_of_its_sentences_and_only_of_those():
    found = list(excerpts(row(), 0.7))
    assert len({part["id"] for part in found}) == len(found) >= 2
    for part in found:
        turns = part["input"].split("\n")
        first = TURNS.index(turns[0])
        assert turns == TURNS[first : first + len(turns)] and part["section"] == "GENHX"
        assert ("quit smoking" in part["target"]) == (TURNS[3] in turns and TURNS[2] in turns)
        assert ("Lisinopril" in part["target"]) == (TURNS[7] in turns and TURNS[6] in turns)
        assert "colon" not in part["target"]
    assert {s for p in found for s in p["target"].split(". ")}  # none is empty


def test_a_question_keeps_its_answer_and_an_answer_its_question():
    target = "She denies chest pain or trouble breathing."
    for number in range(20):  # neighbours are drawn by the row's id
        (part,) = excerpts(row(id=str(number), target=target), 0.7)
        turns = part["input"].split("\n")
        assert TURNS[4] in turns and TURNS[5] in turns
        assert len(turns) <= 2 + 2 * MOST_AROUND
    (part,) = excerpts(row(target="She quit smoking 10 years ago."), 0.7)
    assert TURNS[2] in part["input"] and TURNS[3] in part["input"]


def test_the_same_row_gives_the_same_excerpts():
    assert list(excerpts(row(), 0.7)) == list(excerpts(row(), 0.7))


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "Her father had colon cancer."},  # nobody said it
        {"target": "She takes 40 mg of lisinopril every morning."},  # another number
        {"target": "Hypertension."},  # too little to trace
        {"section": "full_note"},  # its parts are rows of their own
        {"input": "Patient: I quit smoking ten years ago."},  # one turn is the whole
        {"input": "\n".join([TURNS[3] + " word" * MOST_WORDS, TURNS[4]])},  # a page
    ],
)
def test_what_cannot_be_traced_gives_nothing(changes):
    changes = {"target": "She quit smoking 10 years ago."} | changes
    assert list(excerpts(row(**changes), 0.7)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n".join(TURNS) + "\n\n", TURNS),
        (" ".join(TURNS), TURNS),
        ("Hello. Doctor: Hi. Guest_family: Yes.", ["Hello.", "Doctor: Hi.", "Guest_family: Yes."]),
        ("[doctor] hi [patient] hello", ["[doctor] hi", "[patient] hello"]),
        ("No speaker is named here.", ["No speaker is named here."]),
        ("The Doctor: said", ["The", "Doctor: said"]),
        ("", []),
    ],
)
def test_turns(text, expected):
    assert turns_of(text) == expected


def test_a_recipe_takes_excerpts_in_place_of_whole_rows(tmp_path):
    from train.data import load_train
    from train.recipe import load_recipe

    rows = [row(id=str(number), target=TARGET + f" She is {number}.") for number in range(3)]
    rows.append(row(id="none", target="Her father had colon cancer."))
    one_line = row(id="line", input=" ".join(TURNS), target="Lisinopril 20 mg every morning.")
    rows.append(one_line)
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    recipe = load_recipe(
        "dialogue",
        {
            "data.data_dir": str(tmp_path),
            "data.train": [{"path": "train.jsonl", "excerpts": 0.7}],
        },
    )
    loaded = load_train(recipe)
    assert all("-turns-" in found["id"] and "\n" in found["input"] for found in loaded.rows)
    assert loaded.dropped["no turns bear a sentence out"] == 1
    whole = load_recipe(
        "dialogue", {"data.data_dir": str(tmp_path), "data.train": [{"path": "train.jsonl"}]}
    )
    inputs = [found["input"] for found in load_train(whole).rows]
    assert inputs[-1] == "\n".join(TURNS)  # one turn a line, as everywhere
