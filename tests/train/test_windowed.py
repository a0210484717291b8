"""What a note says is learned in the window of the conversation that says it."""

import json

import pytest

from summarizer.windows import windows
from tests.train.conftest import write_rows
from train.errors import RecipeError
from train.recipe import load_recipe
from train.windows import windowed

PAGES = [
    [
        "Doctor: Good morning, what brings you in today?",
        "Patient: My left knee hurts since I fell on the ice two weeks ago.",
        "Doctor: Did it swell?",
        "Patient: Yes, it was swollen the first three days.",
    ],
    [
        "Doctor: And how is the garden doing this year?",
        "Patient: Oh, lovely, the tomatoes are huge and my neighbour is green with envy.",
        "Doctor: Mine never grow at all, I must be doing something wrong with the water.",
        "Patient: Too much sun, I would think.",
    ],
    [
        "Doctor: Let me look at it. There is tenderness over the medial joint line.",
        "Patient: Ouch. Right there.",
        "Doctor: I think you have a tear of the medial meniscus. We order an MRI.",
        "Patient: Okay. And for the knee that hurts now?",
        "Doctor: Naproxen, five hundred mg twice a day.",
    ],
]
TARGET = """CC:

Left knee pain.

HPI

The patient fell on the ice 2 weeks ago and hurt her left knee. It was swollen the first 3 days. \
Her mother had gout.

EXAM

Tenderness over the medial joint line.

ASSESSMENT AND PLAN

1. Medial meniscus tear. We will order an MRI.
2. Naproxen 500 mg twice a day for the knee that hurts.
"""


def row(**changes):
    text = "\n".join(turn for page in PAGES for turn in page)
    return {"id": "v", "input": text, "target": TARGET, "section": "full note"} | changes


def test_each_sentence_goes_to_the_window_that_says_it():
    parts = list(windowed(row(), 50, 0.6))
    assert [part["input"] for part in parts] == windows(row()["input"], 50)
    assert len({part["id"] for part in parts}) == len(parts) == 3
    first, silent, last = (part["target"] for part in parts)
    assert first == (
        "CHIEF COMPLAINT\n\nLeft knee pain.\n\nHISTORY OF PRESENT ILLNESS\n\n"
        "The patient fell on the ice 2 weeks ago and hurt her left knee. "
        "It was swollen the first 3 days."
    )
    assert silent == ""
    assert last == (
        "PHYSICAL EXAM\n\nTenderness over the medial joint line.\n\nASSESSMENT AND PLAN\n\n"
        "1. Medial meniscus tear. We will order an MRI.\n"
        "2. Naproxen 500 mg twice a day for the knee that hurts."
    )
    assert all(part["section"] == "full note" for part in parts)


def test_of_equal_windows_a_plan_is_learned_in_the_last_and_a_history_in_the_first():
    text = "\n".join(["Patient: It is my migraine.", *PAGES[1], "Doctor: So, your migraine."])
    for section, place in (("plan", -1), ("history of present illness", 0)):
        parts = list(windowed(row(input=text, target="Migraine.", section=section), 20, 0.6))
        told = [number for number, part in enumerate(parts) if part["target"]]
        assert told == [place % len(parts)]


def test_a_short_conversation_keeps_its_note_but_for_what_nobody_said():
    text = "\n".join(PAGES[0])
    (part,) = windowed(row(input=text, target=TARGET.split("\n\nEXAM")[0]), 100, 0.6)
    assert part["id"] == "v" and "gout" not in part["target"] and "ice 2 weeks" in part["target"]
    assert not list(
        windowed(row(input=text, target="Her mother had gout at the age of 70."), 100, 1)
    )


def test_silent_windows_are_kept_and_weighed(tmp_path):
    from train.data import load_train, load_validation, windows_of

    write_rows(tmp_path / "data" / "train.jsonl", [row()])
    write_rows(tmp_path / "data" / "validation.jsonl", [row(id="x")])
    path = tmp_path / "w.yaml"
    path.write_text(
        f"task: dialogue\nwindow_words: 50\ndata:\n  data_dir: {tmp_path / 'data'}\n"
        "  silent_windows: 0.25\n  train: [{path: train.jsonl, windowed: 0.6, weight: 2.0}]\n"
    )
    recipe = load_recipe(str(path))
    loaded = load_train(recipe)
    assert [bool(one["target"]) for one in loaded.rows] == [True, False, True]
    assert loaded.weights == [2.0, 0.5, 2.0]
    validation = load_validation(recipe)
    assert [one["id"] for one in validation.rows] == ["x"]  # scored as a whole
    assert len(windows_of(recipe, validation.rows)) == 3  # its loss is of what the model reads


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {train: [{path: a, windowed: 0.5}]}", "needs window_words"),
        ("window_words: 50\ndata: {train: [{path: a, windowed: 1.5}]}", "windowed of a is a share"),
        ("window_words: 0", "window_words must be above 0"),
        ("data: {silent_windows: -1}", "silent_windows must not be below 0"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path, text, message):
    path = tmp_path / "w.yaml"
    path.write_text(f"task: dialogue\n{text}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(path))


def test_a_run_with_windows_trains_and_its_adapter_reads_in_windows(train_now, tmp_path):
    from summarizer.generate import Engine

    folder = tmp_path / "visits"
    write_rows(folder / "train.jsonl", [row(id=f"t{n}") | {"target": TARGET} for n in range(1)])
    write_rows(folder / "validation.jsonl", [row(id="v0"), row(id="v1", input="\n".join(PAGES[0]))])
    status, out, err = train_now(
        task="dialogue",
        window_words=50,
        evaluation__metric="rouge1",
        data={
            "data_dir": str(folder),
            "train": [{"path": "train.jsonl", "windowed": 0.6}],
        },
    )
    assert status == 0, err
    assert "3 training rows, 2 validation rows" in out
    adapter = tmp_path / "models" / "tiny"
    record = json.loads((adapter / "run.json").read_text())
    assert record["recipe"]["window_words"] == 50
    assert record["validation_scores"]["sources"]["validation"]["n"] == 2
    engine = Engine.load(record["recipe"]["backbone"], {"dialogue": str(adapter)})
    assert engine.run("dialogue", row()["input"]).windows == 3


def clip(**changes):
    turns = [
        "Doctor: Do you smoke?",
        "Patient: No, I never did.",
        "Doctor: And alcohol?",
        "Patient: A beer on Fridays.",
        "Doctor: What do you do for work?",
        "Patient: I drive a school bus, and my wife teaches.",
    ]
    note = "He denies the use of tobacco. He is employed as a bus driver. Uncle had gout."
    return {"id": "c", "input": "\n".join(turns), "target": note, "section": "FAM"} | changes


def test_what_a_note_tells_in_other_words_is_told_by_rule():
    (plain,) = windowed(clip(), 60, 0.8)
    assert plain["target"] == "He denies the use of tobacco."
    (part,) = windowed(clip(), 60, 0.8, retold=True)
    assert part["target"] == (
        "He denies the use of tobacco. The patient drives a school bus, and their wife teaches."
    )


def test_a_clip_that_states_what_its_note_may_have_said_in_other_words_is_left_out():
    assert list(windowed(clip(target="Social history was reviewed and is unremarkable today "
                                     "as far as known."), 60, 0.8, retold=True)) == []  # fmt: skip
    small_talk = "Doctor: Hello, have a seat.\nPatient: Thank you.\n" * 9
    parts = list(windowed(clip(input=small_talk + clip()["input"]), 60, 0.8, retold=True))
    assert [bool(part["target"]) for part in parts] == [False, True]


def test_statements_of_a_visit_stand_beside_its_notes_own_sentences():
    small_talk = "Patient: Oh, lovely, the tomatoes are huge and my neighbour is green.\n" * 40
    turns = [
        "Patient: My left knee hurts since I fell on the ice two weeks ago.",
        "Doctor: Did it swell?",
        "Patient: It was swollen for three days, and I stayed in bed.",
    ]
    note = "HPI\n\nShe fell on the ice 2 weeks ago. The knee was a swollen one, bed rest.\n"
    visit = row(input=small_talk + "\n".join(turns), target=note)
    plain = [part["target"] for part in windowed(visit, 50, 0.8)]
    parts = [part["target"] for part in windowed(visit, 50, 0.8, retold=True)]
    assert len(parts) == len(plain)  # silence is learned of the rest
    assert [text for text in plain if text] == [
        "HISTORY OF PRESENT ILLNESS\n\nShe fell on the ice 2 weeks ago."
    ]
    assert [text for text in parts if text] == [
        "HISTORY OF PRESENT ILLNESS\n\nShe fell on the ice 2 weeks ago. "
        "The patient's left knee hurts since they fell on the ice two weeks ago. "
        "It was swollen for three days, and the patient stayed in bed."
    ]


def test_of_a_copy_that_answers_otherwise_only_rules_tell():
    copy = clip(answered_otherwise=True)
    copy["input"] = copy["input"].replace("No, I never did.", "Yes.")
    assert list(windowed(copy, 60, 0.8)) == []
    (part,) = windowed(copy, 60, 0.8, retold=True)
    assert part["target"] == (
        "The patient smokes. The patient drives a school bus, and their wife teaches."
    )


def test_copies_with_other_names_are_read_beside_their_rows(tmp_path):
    from train.data import load_train

    write_rows(tmp_path / "data" / "train.jsonl", [clip(), row()])
    write_rows(tmp_path / "data" / "validation.jsonl", [row(id="x")])
    path = tmp_path / "w.yaml"
    path.write_text(
        f"task: dialogue\nwindow_words: 60\ndata:\n  data_dir: {tmp_path / 'data'}\n"
        "  train: [{path: train.jsonl, windowed: 0.8, retold: true},"
        "{path: train.jsonl, windowed: 0.8, retold: true, exchanged: 4, weight: 0.5}]\n"
    )
    loaded = load_train(load_recipe(str(path)))
    own = [one for one in loaded.rows if "exchanged" not in one["id"]]
    copies = [one for one in loaded.rows if "exchanged" in one["id"]]
    assert copies and all(one["target"] for one in copies)
    assert set(loaded.weights[: len(own)]) == {1.0}  # once, though both entries have it
    assert set(loaded.weights[len(own) :]) == {0.5}
    assert loaded.dropped["duplicate"] >= len(own)
