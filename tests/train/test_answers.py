"""Drawn questions and answers: what is told was asked and answered, and in the same turns."""

import random
import re

import pytest

from summarizer.tasks import SECTION_CODES
from train.answers import (
    _VISIT,
    EXCHANGES,
    MOST_WORDS,
    _entries,
    _filler,
    _grammar,
    answers,
    drawn,
    exchange_groups,
    exchanges,
    main,
    read_exchanges,
    visits,
)
from train.errors import DataError
from train.objectives import number_words, spell_numbers
from train.synthetic import Filler
from train.written import faults

TOPICS = ["gaucher disease", "hereditary angioedema"]
TURN = re.compile(
    r"^(?:(?:Doctor|Patient|Guest_family): \S|\[(?:doctor|patient|guest_family)\] \S).*[.?!]$"
)


@pytest.fixture(scope="module")
def rows():
    return list(answers(2000, TOPICS))


def words_of(text):
    return set(re.findall(r"[a-z']+", text.lower()))


def test_the_same_seed_draws_the_same_conversations(rows):
    assert list(answers(2000, TOPICS)) == rows
    assert list(answers(2000, TOPICS, seed=1)) != rows


def test_a_row_is_a_few_turns_and_what_a_note_has_of_them(rows):
    assert len({row["input"] for row in rows}) == len(rows) > 1900
    assert {row["section"] for row in rows} == set(_entries())
    for row in rows:
        assert all(TURN.match(turn) for turn in row["input"].splitlines()), row
        assert re.match("[A-Z0-9].*[.!]$", row["target"]), row
        assert not re.search(r"[{}|<>#~]|=>|//|  | [,?]", row["target"]), row
        assert len(row["target"].split()) <= MOST_WORDS, row


@pytest.mark.parametrize("section", sorted(_entries()))
def test_every_entry_can_be_drawn_in_all_its_ways(section):
    for entry in _entries()[section]:
        for seed in range(12):
            said = drawn(random.Random(seed), _filler(random.Random(seed), TOPICS), entry)
            assert said.told, entry
            for _, turn in said.turns:
                assert not re.search(r"[{}|<>#~]|//|=>|  | [,.?!]|[,?!.][.,]", turn), (entry, turn)
            assert not re.search(r"[{}|<>#~]|//|=>|  ", said.told), (entry, said.told)
            spoken = " ".join(turn for _, turn in said.turns)
            spoken = spoken.replace("point five", "0.5").replace("one thousand", "1000")
            told = said.told.replace("out of 10", "out of ten")
            for number in re.findall(r"(?<![\w-])\d+(?:\.\d+)?(?![\w-])", told):
                ways = f"{re.escape(number)}|{spell_numbers(random.Random(0), number)}"
                assert re.search(rf"(?i)(?:{ways})", spoken), (entry, said)


def test_what_is_between_is_told_of_nobody():
    for entry in _grammar()["between"]:
        assert " => " not in entry
        assert drawn(random.Random(0), _filler(random.Random(0), ()), entry).turns


def test_the_nth_of_what_is_told_goes_with_the_nth_of_what_is_said():
    entry = "D: Can you <#walk|eat>? // P: <No|Not now>, <#today|ever>. => No <#walking|eating>, <#now|never>."
    ways = set()
    for seed in range(60):
        said = drawn(random.Random(seed), Filler(random.Random(seed), {}), entry)
        asked, answered = (words for _, words in said.turns)
        assert ("walk" in asked) == ("walking" in said.told)
        assert ("today" in answered) == ("now" in said.told)
        ways.add((asked, answered))
    assert len(ways) == 8


def test_a_no_is_told_as_a_no_and_a_yes_as_a_yes():
    entries = [e for e in _entries()["GENHX"] if "=> The patient denies {complaint}." in e]
    also = [e for e in _entries()["GENHX"] if "=> The patient also has {complaint}." in e]
    assert entries and also
    for seed in range(40):
        rng = random.Random(seed)
        denied = drawn(rng, _filler(rng, ()), entries[0])
        assert re.match(r"(?:No|Nope|Not|None|I)\b", denied.turns[1][1]) and "denies" in denied.told
        has = drawn(rng, _filler(rng, ()), also[0])
        assert not re.match(r"(?:No|Nope|Not|None)\b", has.turns[1][1]) and "has" in has.told


def test_what_a_patient_says_is_told_of_the_patient():
    said = drawn(random.Random(0), Filler(random.Random(0), {}), "P: I hurt my knee.")
    assert said.turns == (("patient", "I hurt my knee."),)
    assert said.told == "The patient hurt their knee."


def test_a_conversation_is_told_in_its_own_words_but_for_what_a_note_calls_otherwise(rows):
    """Most of what is told was said: what was not is the note's word for it."""
    shares = []
    for row in rows:
        told = words_of(row["target"])
        shares.append(len(told & words_of(row["input"])) / len(told))
    assert sum(shares) / len(shares) > 0.6


@pytest.fixture(scope="module")
def stretches():
    return list(visits(1500, TOPICS))


def test_the_same_seed_draws_the_same_visits(stretches):
    assert list(visits(1500, TOPICS)) == stretches
    assert list(visits(1500, TOPICS, seed=1)) != stretches


def test_a_stretch_of_a_visit_is_a_transcript_and_its_note_has_headings(stretches):
    assert len({row["input"] for row in stretches}) == len(stretches) > 1400
    assert {row["section"] for row in stretches} == {*_VISIT, "full_note"}
    bare = 0
    headings = {"FAMILY HISTORY"}
    headings.update(heading for part in _VISIT.values() for names in part for heading in names)
    for row in stretches:
        for turn in row["input"].splitlines():
            assert re.match(r"\[(?:doctor|patient)\] \S", turn) and turn == turn.lower(), row
        bare += not re.search(r"[.?!]", re.sub(r"\d\.\d", "", row["input"]))
        blocks = row["target"].split("\n\n")
        assert len(blocks) % 2 == 0 and all(block.isupper() for block in blocks[::2]), row
        assert not headings.intersection(blocks[1::2]), row
        assert not re.search(r"[{}|<>#~]|=>|//|  ", row["target"] + row["input"]), row
    assert 0.35 < bare / len(stretches) < 0.65


def test_decimals_of_a_visit_are_mostly_said_in_words(stretches):
    spoken = [row for row in stretches if re.search(r"\d\.\d", row["target"])]
    inwords = [row for row in spoken if " point " in row["input"]]
    assert 0.4 < len(inwords) / len(spoken) < 0.95
    for row in inwords:
        for figures in re.findall(r"\d+\.\d+", row["target"]):
            whole, part = figures.split(".")
            digits = " ".join("oh" if d == "0" else number_words(int(d)) for d in part)
            said = f"{number_words(int(whole))} point {digits}".removeprefix("zero ")
            assert said in row["input"] or figures in row["input"], row


def test_a_section_of_a_visit_tells_only_what_belongs_there(stretches):
    for row in stretches:
        headings = row["target"].split("\n\n")[::2]
        assert len(set(headings)) == len(headings)
        belong = {"FAMILY HISTORY"} if row["section"] == "subjective" else set()
        for names in _VISIT.get(row["section"], {}):
            belong.update(names)
        assert row["section"] == "full_note" or belong.issuperset(headings), row
    whole = [row for row in stretches if row["section"] == "full_note"]
    assert any(row["target"].count("\n\n") > 2 for row in whole)


def test_an_exchange_written_by_itself_is_drawn_with_its_choices(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text(
        "@ section: ROS\n"
        "D: Do my notes say <1:rash|fever>? // P: <Nope|Never> => No <1>.\n\n"
        "@ section: GENHX\nG: She cried. => The patient cried.\n"
    )
    first, second = read_exchanges(path)
    assert (first.keys, second.keys) == ({"section": "ROS"}, {"section": "GENHX"})
    assert (first.where, second.where) == ("some.txt:2", "some.txt:5")
    filler = Filler(random.Random(0), {})
    ways = set()
    for seed in range(40):
        said = drawn(random.Random(seed), filler, first)
        assert said.turns[0][0] == "doctor" and said.turns[1] in (
            ("patient", "Nope."),
            ("patient", "Never."),
        )
        # what is written is not put in other words
        assert said.turns[0][1] == f"Do my notes say {said.told[3:-1]}?"
        ways.add(said)
    assert len(ways) == 4
    assert drawn(random.Random(0), filler, second).turns == (("guest_family", "She cried."),)
    # a pause stands where a turn begins
    path.write_text("@ section: ROS\nP: ... Sometimes. => Sometimes.\n")
    (third,) = read_exchanges(path)
    assert drawn(random.Random(0), filler, third).turns == (("patient", "... Sometimes."),)
    entries = {"ROS": [first], "GENHX": [second]}
    assert {row["section"] for row in answers(50, entries=entries)} == set(entries)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("D: Any rash? // P: No.", "after one =>"),
        ("D: Any rash? // No. => No rash.", "turns that begin with D:, P: or G:"),
        ("D: Any rash? // P: => No rash.", "turns that begin with D:, P: or G:"),
        ("@ section: ROS\nD: Any <rash|fever? // P: No. => No rash.", "is left over"),
        ("@ section: ROS\nD: Any <1:rash|fever>? // P: No. => No <1:rash>.", "differ in length"),
        ("D: Any rash? // P: No. => No rash.", "@ section: GENHX must stand above"),
    ],
)
def test_a_fault_of_an_exchange_is_told_with_its_place(tmp_path, capsys, line, fault):
    path = tmp_path / "some.txt"
    path.write_text(line)
    assert main([str(path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: some.txt:{line.count(chr(10)) + 1}: ") and fault in told


@pytest.mark.parametrize(
    "path", sorted(EXCHANGES.glob("*/*.txt")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_written_exchange_is_sound(path):
    every, filler = list(read_exchanges(path)), Filler(random.Random(0), {})
    assert [fault for template in every for fault in faults(template)] == []
    assert len({(t.said, t.keys["section"]) for t in every}) == len(every) > 30
    for template in every:
        assert template.keys["section"] in SECTION_CODES, template.where
        for seed in range(4):
            said, told = template.draw(random.Random(seed))
            turns = drawn(random.Random(seed), filler, template).turns
            assert all(re.search(r"\w", words) for _, words in turns), template.where
            assert not re.search(r"[{}<>|]|//|=>|  | [,?]|[,?!][.,]", said + told), template.where
            assert re.match(r"[A-Z0-9].*[.!]$", told), template.where


@pytest.mark.parametrize("group", exchange_groups())
def test_conversations_of_written_exchanges_are_as_those_of_the_grammar(group):
    rows = list(answers(500, entries=exchanges(group)))
    assert rows == list(answers(500, entries=exchanges(group)))
    assert len({row["section"] for row in rows}) > 8
    for row in rows:
        assert all(TURN.match(turn) for turn in row["input"].splitlines()), row
    told = {row["section"] for row in visits(500, entries=exchanges(group))}
    assert told == {*_VISIT, "full_note"}


def test_a_group_without_some_sections_of_a_visit_is_drawn_from_the_others(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text(
        "@ section: ROS\nD: Any rash? // P: No. => No rash.\n"
        "@ section: PLAN\nD: <One|Two> weeks of rest. => Rest.\n"
        "@ section: LABS\nG: Her sugar was low. => Low glucose.\n"  # of no visit: a guest's
    )
    entries = {entry.keys["section"]: [entry] for entry in read_exchanges(path)}
    rows = list(visits(50, entries=entries))
    assert {row["section"] for row in rows} == {"subjective", "assessment_and_plan", "full_note"}
    assert not any("sugar" in row["input"] for row in rows)
    with pytest.raises(DataError, match="nothing to draw a visit from"):
        list(visits(5, entries={"LABS": entries["LABS"]}))
