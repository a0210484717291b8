"""Long conversations are read in windows: nothing is lost between them, nothing told twice."""

import json
import threading
from pathlib import Path

import pytest
from tiny_t5 import TEXTS, make_adapter

from summarizer import tasks
from summarizer.generate import Engine
from summarizer.tasks import Decoding
from summarizer.windows import (
    LONGEST,
    MANY,
    MOST_WORDS,
    heading,
    is_heading,
    joined,
    windows,
)

SHORT = Decoding(max_new_tokens=12)
BEAMS = Decoding(max_new_tokens=8, num_beams=3)
VISIT = "\n".join(
    f"{'Doctor' if turn % 2 else 'Patient'}: turn {turn} {'word ' * (turn % 7)}of the visit"
    + ("?" if turn % 5 == 0 else ".")
    for turn in range(40)
)


# --- the windows --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [20, 60, 100])
def test_windows_hold_every_turn_in_order_and_are_of_one_length(words):
    parts = windows(VISIT, words)
    turns = [part.split("\n") for part in parts]
    for before, after in zip(turns, turns[1:]):
        if before[-1].endswith("?"):  # it stands with its answer as well
            assert after.pop(0) == before[-1]
            assert sum(len(turn.split()) for turn in before[:-1]) < words / 2
    assert [turn for part in turns for turn in part] == VISIT.split("\n")
    lengths = [sum(len(turn.split()) for turn in part) for part in turns]
    assert max(lengths) <= words + 12  # a turn more at most
    assert min(lengths) >= min(words, max(lengths)) / 2


def test_a_question_as_long_as_a_window_stands_in_its_own_and_before_its_answer():
    asked = "Doctor: " + "and " * 30 + "how?"
    text = "\n".join([asked, "Patient: " + "so " * 30 + "it goes."])
    assert windows(text, 30) == [asked, text]


def test_a_text_of_about_one_window_is_left_as_it_is():
    text = "\n\n".join(VISIT.split("\n"))
    assert windows(text, len(text.split())) == [text]
    assert windows(text, int(len(text.split()) / 1.2)) == [text]
    assert len(windows(text, len(text.split()) // 2 + 1)) == 2


@pytest.mark.parametrize("words", [400, 850, 1000, 1200, 3000])
def test_a_visit_is_read_in_longer_windows_than_a_few_turns(words):
    turn = "Patient: this is turn number {} of nine."  # eight words
    text = "\n".join(turn.format(n) for n in range(words // 8))
    parts = windows(text, 25)
    longest = max(len(part.split()) for part in parts)
    if words <= 25 * MANY:
        assert longest <= 25 + 8 and abs(len(parts) - words / 25) < 2
    elif words <= LONGEST * MANY:
        assert MANY <= len(parts) <= MANY + 2 and longest > words / MANY - 8
    else:
        assert LONGEST - 8 < longest <= LONGEST + 8 and parts == windows(text, LONGEST)
    assert windows(text, 60) != parts  # longer ones are as they are asked for


def test_a_conversation_on_one_line_and_a_speech_are_divided_too():
    line = VISIT.replace("\n", " ")
    assert windows(line, 60) == windows(VISIT, 60)
    speech = " ".join(f"Sentence {number} of a speech." for number in range(60))
    parts = windows(speech, 50)
    assert " ".join(" ".join(parts).split()) == speech
    assert all(part.endswith(".") and len(part.split()) <= 60 for part in parts)
    endless = "word " * 400
    assert " ".join(" ".join(windows(endless, 50)).split()) == endless.strip()


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("CHIEF COMPLAINT", True),
        ("Medications:", True),
        ("Back pain", False),
        ("Former smoker", False),
        ("EKG.", False),
        ("", False),
        ("THE PATIENT WAS SEEN IN THE OFFICE TODAY", False),
    ],
)
def test_a_heading_is_told_from_a_short_line(line, heading):
    assert is_heading(line) is heading


# --- their texts together -----------------------------------------------------------------------


def test_what_stands_under_one_heading_comes_together():
    parts = [
        "CHIEF COMPLAINT\n\nCough.\n\nHISTORY\n\nHe coughs.",
        "",
        "History:\n\nHe smokes.\nHe coughs.\n\nPLAN\n\nX-ray.",
        "PLAN\n\nX-ray.\nCome back.",
    ]
    assert joined(parts) == (
        "CHIEF COMPLAINT\n\nCough.\n\nHISTORY\n\nHe coughs.\nHe smokes.\n\nPLAN\n\nX-ray.\nCome back."
    )


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("PHYSICIST", "PHYSICAL EXAM"),
        ("ASSESSES", "ASSESSMENT"),
        ("RESULTED", "RESULTS"),
        ("SOCIALLY HISTORY", "SOCIAL HISTORY"),
        ("• MEDICATIONS", "MEDICATIONS"),
        ("3. SURGICAL HISTORY", "SURGICAL HISTORY"),
        *((line, line) for line in ("NKDA", "HIV", "PLANS:", "- EXAMS", "Resulted", "BP 120/80")),
        *(
            (line, line)
            for line in ("HYPERTENSION", "2. HYPERTENSION", "DEPRESSION", "HEENT", "PAIN")
        ),
        *((line, line) for line in ("RECOMMENDATIONS", "RESPIRATORY", "BIRTH HISTORY", "VITAMINS")),
        *((line, line) for line in ("MEDICAL EXAM", "MEDICAL DECISION MAKING", "•", "", "- 1.")),
    ],
)
def test_a_bent_heading_is_the_one_that_it_is_most_like(line, title):
    assert heading(line) == title
    if is_heading(line):
        assert joined([f"{line}\n\nOne.", "PLAN\n\nTwo."]).startswith(f"{title}\n")


def test_what_stands_under_a_bent_heading_comes_to_the_right_one():
    parts = ["RESULTS\n\nX-ray normal.\n\nRESULTED\n\nECG normal.", "RESULTS\n\nGlucose 90."]
    assert joined(parts) == "RESULTS\n\nX-ray normal.\nECG normal.\nGlucose 90."


def test_the_lists_of_several_windows_are_numbered_on():
    parts = ["PLAN\n\n1. X-ray.\n2. Ice 3. times.", "PLAN\n\nRest.\n1. x-ray\n2) Come back."]
    assert joined(parts) == "PLAN\n\n1. X-ray.\n2. Ice 3. times.\nRest.\n3. Come back."
    # a list that was numbered once is left as it is
    assert joined(["2. Ice.\n3. Rest.", "He smokes."]) == "2. Ice.\n3. Rest.\nHe smokes."
    assert joined(["1. Ice.", "1. Rest.\n2. Ice."]) == "1. Ice.\n2. Rest."


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("since age 9, 26 years.", "Since age 9, 26 years."),
        ("2. metformin twice a day.", "2. Metformin twice a day."),
        ("a fall", "A fall"),
        ("chest pain", "Chest pain"),
        *((same, same) for same in ("pH is 7.4.", "p.m. doses", "x2 daily", "5 mg", "No.", "mmHg")),
    ],
)
def test_a_line_begins_with_a_capital(line, shown):
    assert joined(["Cough.", line]) == f"Cough.\n{shown}"
    assert joined([line]) == line, "one text is left as it is"


def test_texts_without_headings_are_lines_and_one_text_is_left_as_it_is():
    assert joined(["He coughs.", "He smokes.", "he coughs"]) == "He coughs.\nHe smokes."
    assert joined(["  a\n\n\nb  "]) == "  a\n\n\nb  "
    assert joined(["", ""]) == joined([]) == ""
    assert joined(["Former smoker", "Lives alone"]) == "Former smoker\nLives alone"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        # what is normal in one window says nothing of the others
        (
            [
                "No acute cardiopulmonary abnormality.",
                "1. Rib fracture.\n2. Effusion. 3. No free air.",
            ],
            "1. Rib fracture.\n2. Effusion.",
        ),
        (
            ["1. Rib fracture.", "Rib Fracture", "44. 14 mm nodule."],
            "1. Rib fracture.\n2. 14 mm nodule.",
        ),
        (["Normal liver.", "1. Normal kidneys.\n2. Normal bladder."], "Normal liver."),
        (["1. Gallstones.", "No hydronephrosis."], "Gallstones."),
        (["1. Gallstones.\n1. Sludge."], "1. Gallstones.\n1. Sludge."),
        (["", "4; ", "2."], ""),
    ],
)
def test_the_points_of_a_report_are_one_list(parts, text):
    assert joined(parts, "numbered") == text


# --- the engine ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tiny, tmp_path_factory):
    """The dialogue adapter reads in windows of 30 words, the others whole."""
    run = {"recipe": {"window_words": 30, "max_input_tokens": 200}}
    folder = tmp_path_factory.mktemp("windows") / "dialogue"
    path = make_adapter(Path(tiny.backbone), folder, seed=5, run=run)
    adapters = {"dialogue": str(path), "radiology": tiny.adapters["radiology"]}
    return Engine.load(tiny.backbone, adapters)


@pytest.fixture(scope="module")
def apart(engine):
    """An engine of the same adapter that reads whole, for one window at a time."""
    task = engine._tasks["dialogue"]
    whole = Engine(engine._backbone, engine._model, engine.adapters)
    whole._tasks = {"dialogue": tasks.replace(task, window_words=None)}
    return whole


@pytest.mark.parametrize("decoding", [SHORT, BEAMS], ids=["greedy", "beams"])
def test_the_windows_say_what_they_say_alone(engine, apart, decoding):
    pair = engine.run("dialogue", VISIT, section="PLAN", decoding=decoding)
    parts = windows(VISIT, 30)
    assert pair.windows == len(parts) > 5
    single = [apart.run("dialogue", p, section="PLAN", decoding=decoding) for p in parts]
    for column in ("base", "lora"):
        made = [getattr(one, column) for one in single]
        assert getattr(pair, column).text == joined([one.text for one in made])
        assert getattr(pair, column).tokens == sum(one.tokens for one in made)
    assert pair.prompt == "\n\n".join(one.prompt for one in single)
    assert pair.base.text != pair.lora.text


def test_a_batch_of_visits_says_what_single_runs_say(engine):
    rows = [{"input": VISIT[: 300 * n], "section": "PLAN"} for n in (1, 2, 4)] + [
        {"input": text} for text in TEXTS[:3]
    ]
    for batch_size in (1, 4):
        found = dict(engine.batch("dialogue", rows, decoding=SHORT, batch_size=batch_size))
        for place, row in enumerate(rows):
            single = engine.run(
                "dialogue", row["input"], section=row.get("section"), decoding=SHORT
            )
            assert found[place].base.text == single.base.text
            assert found[place].lora.text == single.lora.text
            assert found[place].lora.finish == single.lora.finish
            assert (found[place].windows, found[place].cut) == (single.windows, single.cut)


def test_all_windows_grow_at_once_and_a_stop_ends_them(engine):
    pairs = list(engine.stream("dialogue", VISIT, decoding=SHORT))
    tokens = [pair.lora.tokens for pair in pairs]
    assert tokens == sorted(tokens)
    final, single = pairs[-1], engine.run("dialogue", VISIT, decoding=SHORT)
    assert (final.base.text, final.lora.text) == (single.base.text, single.lora.text)
    cancel = threading.Event()
    last = None
    long = Decoding(max_new_tokens=400, min_new_tokens=400)
    for last in engine.stream("dialogue", VISIT, decoding=long, cancel=cancel):
        if last.lora.tokens:
            cancel.set()
    assert last.base.finish == last.lora.finish == "stopped"
    assert last.lora.tokens < 400 * last.windows


def test_what_is_past_the_last_window_is_reported(engine):
    text = "\n".join(f"Patient: this is turn number {n} of a long day." for n in range(650))
    pair = engine.run("dialogue", text, decoding=Decoding(max_new_tokens=1))
    parts = windows(text, 30)
    most = MOST_WORDS // LONGEST
    assert pair.windows == most < len(parts)
    assert pair.cut.unread_text == "\n".join(parts[most:])
    assert pair.cut.words_unread == len(pair.cut.unread_text.split())
    assert pair.cut.tokens_total > pair.cut.tokens_read > 0
    assert "turn number 649" not in pair.prompt


def test_a_window_of_endless_words_is_cut_and_reported(engine):
    text = VISIT + "\nPatient: " + "a" * 900 + " indeed."
    pair = engine.run("dialogue", text, decoding=Decoding(max_new_tokens=1))
    assert pair.cut is not None and pair.cut.unread_text.endswith("indeed.")
    assert engine.run("dialogue", VISIT, decoding=Decoding(max_new_tokens=1)).cut is None


def test_the_record_and_the_command_line_tell_of_windows(engine, capsys):
    from summarizer.__main__ import _as_json, _as_text

    assert engine.record("dialogue")["window_words"] == 30
    assert "window_words" not in engine.record("radiology")
    task = engine.task("dialogue")
    pair = engine.run("dialogue", VISIT, decoding=SHORT)
    assert f"Read in {pair.windows} windows" in _as_text(task, engine, pair)
    assert json.loads(json.dumps(_as_json(task, engine, pair)))["windows"] == pair.windows
    assert engine.run("radiology", VISIT, decoding=SHORT).windows == 1


@pytest.mark.parametrize("words", [0, -3, "many", True])
def test_an_impossible_window_is_refused(words):
    with pytest.raises(ValueError, match="window_words is .*: it must be a whole number"):
        tasks.for_run(tasks.get_task("dialogue"), {"recipe": {"window_words": words}})
