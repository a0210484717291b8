"""Questions with their answers in many wordings, and that every file of them is sound."""

import random

import pytest

from summarizer.tasks import SECTION_CODES
from train import talks as module
from train.answers import answers
from train.errors import DataError
from train.talks import each_wording_once, main, read_talks, talk_groups, talks
from train.written import faults

TALKS = """
@ section: FAM/SOCHX
? Do you smoke?
? Any cigarettes?
? -
+ smokes
A pack a day, <1:ten|twenty> years now.
P: I do. // D: How much? // P: A pack a day for <1:ten|twenty> years.
=> Smokes a pack a day for <1:10|20> years.
+ never
# of cigarettes
Never have.
Not me, no cigarettes.
=> Never smoked.
=> Denies tobacco use.
? Do you drink?
+ never
Not a drop of alcohol.
I don't drink.
=> Denies alcohol use.
@ section: GENHX
? When did the <1:cough|fever> start?
+ days
Oh, <2:two|three> days ago.
It's been <2:two|three> days.
=> <1:Cough|Fever> for <2:2|3> days.
"""
FILES = sorted(module.FOLDER.glob("*/*.txt"))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text(TALKS)
    return path


def test_a_question_is_met_with_contrary_answers_and_the_answer_decides(path):
    every, rng = list(read_talks(path)), random.Random(0)
    assert [one.about for one in every] == [
        "some.txt:3",
        "some.txt:3",
        "some.txt:16",
        "some.txt:22",
    ]
    smokes, never = ({one.draw(rng) for _ in range(200)} for one in every[:2])
    assert {said.split("\n")[0] for said, _ in smokes} >= {"D: Do you smoke?", "D: Any cigarettes?"}
    assert any(said.startswith("P: ") for said, _ in smokes)  # unasked
    for said, told in smokes:
        assert told == f"Smokes a pack a day for {'10' if 'ten' in said else '20'} years."
    assert {told for _, told in never} == {"Never smoked.", "Denies tobacco use."}
    assert len(never) == 3 * 2 * 2


def test_a_label_of_the_question_stands_in_the_note(path):
    one, rng = list(read_talks(path))[-1], random.Random(0)
    assert one.keys == {"section": "GENHX"}
    for said, told in (one.draw(rng) for _ in range(50)):
        assert ("cough" in said) == told.startswith("Cough") and ("two" in said) == ("2" in told)


def test_a_conversation_answers_no_question_twice(path):
    entries: dict = {}
    for one in read_talks(path):
        entries.setdefault(one.keys["section"], []).append(one)
    rows = list(answers(400, entries=entries))
    notes = {row["target"] for row in rows if row["section"] == "FAM/SOCHX"}
    assert any("moke" in note and "alcohol" in note for note in notes)
    for note in notes:
        assert not ("Smokes" in note and ("Never smoked" in note or "tobacco" in note))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("@ section: FAM/SOCHX\n", "", "a line such as @ section: GENHX must stand above"),
        ("@ section: GENHX\n", "@ section: GENHX\nSo.\n", "this line stands in no answer"),
        ("Never have.\n", "", "two wordings of an answer and a note are needed"),
        ("=> Denies alcohol use.\n", "", "two wordings of an answer and a note are needed"),
        ("// D: How much?", "// How much?", "after // a turn begins with D:, P: or G:"),
        ("@ section: GENHX", "? Do you vape?\n@ section: GENHX", "question above has no answer"),
        ("? Do you smoke?\n? Any cigarettes?\n? -\n", "", "an answer stands before its question"),
    ],
)
def test_what_is_no_talk_is_told_with_its_place(path, capsys, old, new, fault):
    path.write_text(TALKS.replace(old, new, 1))
    with pytest.raises(DataError, match=r"^some\.txt:\d+: "):
        list(read_talks(path))
    assert main([str(path)]) == 1
    assert fault in capsys.readouterr().err


def test_the_command_says_how_many_wordings_are_sound(path, capsys):
    assert main([str(path), "--show", "1"]) == 0
    assert "some.txt: 10 wordings" in capsys.readouterr().out
    path.write_text(TALKS.replace("It's been <2:two|three> days", "It's been two days"))
    assert main([str(path)]) == 1
    told = "some.txt:23: the note's <2> is not in this wording: \"It's been two days.\"."
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_wording_of_every_file_is_sound(path):
    for template in each_wording_once(path):
        assert not faults(template, draws=1)
        assert template.keys["section"] in SECTION_CODES, template.where


@pytest.mark.parametrize("group", talk_groups())
def test_conversations_are_drawn_alike_each_time(group):
    rows = list(answers(200, entries=talks(group)))
    assert rows == list(answers(200, entries=talks(group)))
    assert len({row["input"] for row in rows}) == len(rows)
