"""What is asked of patients, each question and each answer in many wordings, and what is noted.

Run as:

    python -m train.talks FILE [FILE ...]      checks files, tells every fault, shows some exchanges

An exchange (`train.answers`) is one question with one answer: who has learned it knows that one.
Here stand, for one thing that is asked, the ways to ask for it, the answers that there may be, each
in several wordings, and for each answer what a note may have of it. So the same question is met with
a yes, a no and an "it was my sister", and the answer decides. Files (`train/talks/GROUP/*.txt`) are
the words of this project; no patient's conversation is among them. A group is drawn together, so
new files go into a new group: what an adapter has learned from is then drawn as it was.

    @ section: FAM/SOCHX                 of what follows
    ? Do you smoke?                      a way to ask; more of them in lines of their own
    ? Any cigarettes, or a pipe?
    ? -                                  the patient says it unasked
    + smokes                             an answer, with a name for whoever reads the file
    Yeah, a pack a day, <1:ten|twenty> years now.
    P: I do, yes. // D: How much? // P: A pack a day for <1:ten|twenty> years.
    => Smokes a pack a day for <1:10|20> years.
    + never
    No, never have.
    => Denies tobacco use.
    => Never smoked.

A line of an answer without a speaker is the patient's; D: is the doctor, P: the patient and G:
somebody who came along. The next line with ? after an answer begins another thing. Blank lines and
lines that begin with # are passed over. `<a|b>`, `<1:a|b>`, `<1:3..9>` are those of
`train.written`; a number counts within its answer, its question included.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from train.answers import by_section
from train.errors import DataError
from train.written import Template, check, each_once

FOLDER = Path(__file__).parent / "talks"
UNASKED = "-"
_HEADER = re.compile(r"@ *section: *(.+)")
_LABEL = re.compile(r"<([1-9])(?=[:>])")
_TURN = re.compile(r"[DPG]: ?\S")


@dataclass(frozen=True)
class Talk(Template):
    """One answer to one question, in all its wordings. `about` names the question."""

    asked: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()

    def draw(self, rng: random.Random) -> tuple[str, str]:
        ways = (rng.choice(way) for way in (self.asked, self.answered, self.noted))
        return self.way(*ways).draw(rng)

    def way(self, asked: str, answered: str, noted: str) -> Template:
        """One of its wordings, whose choices are still to be taken."""
        turns = answered.split(" // ")
        if not _TURN.match(turns[0]):
            turns[0] = f"P: {turns[0]}"
        if asked != UNASKED:
            turns.insert(0, asked if _TURN.match(asked) else f"D: {asked}")
        return Template("\n".join(turns), noted, self.where, self.keys)


def read_talks(path: Path) -> Iterator[Talk]:
    """The answers of a file. Raises DataError for what is none, or notes more than is said."""
    section, about = "", ""
    asked: list[str] = []
    answered: list[str] | None = None
    noted: list[str] = []
    where = first = ""

    def talk() -> Talk:
        if not asked or not answered or len(answered) < 2 or not noted:
            raise DataError(
                f"{first}: a question, two wordings of an answer and a note are needed."
            )
        labels = [set(_LABEL.findall(text)) for text in asked]
        defined = set.intersection(*labels)
        for note, answer in itertools.product(noted, answered):
            if unsaid := set(_LABEL.findall(note)) - set(_LABEL.findall(answer)) - defined:
                raise DataError(
                    f"{first}: the note's <{min(unsaid)}> is not in this wording: {answer[:60]!r}."
                )
        return Talk(
            "\n".join([*asked, *answered]), noted[0], first, {"section": section},
            about, tuple(asked), tuple(answered), tuple(noted),
        )  # fmt: skip

    for number, raw in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        line, where = raw.strip(), f"{path.name}:{number}"
        if not line or line.startswith("#"):
            continue
        ends = line.startswith(("@", "?", "+"))
        if ends and answered is not None:
            yield talk()
            answered, noted = None, []
            if not line.startswith("+"):
                asked = []
        elif asked and line.startswith("@"):
            raise DataError(f"{where}: the question above has no answer.")
        if header := _HEADER.fullmatch(line):
            section = header[1]
        elif line.startswith("?"):
            if not section:
                raise DataError(f"{where}: a line such as @ section: GENHX must stand above.")
            about = about if asked else where
            asked.append(line[1:].strip())
        elif line.startswith("+"):
            if not asked:
                raise DataError(f"{where}: an answer stands before its question.")
            answered, first = [], where
        elif line.startswith("=>") and answered is not None:
            noted.append(line[2:].strip())
        elif answered is not None and not noted:
            if any(not _TURN.match(turn) for turn in line.split(" // ")[1:]):
                raise DataError(f"{where}: after // a turn begins with D:, P: or G:.")
            answered.append(line)
        else:
            raise DataError(f"{where}: this line stands in no answer: {line[:60]!r}.")
    if answered is not None:
        yield talk()
    elif asked:
        raise DataError(f"{where}: the question above has no answer.")


def talk_groups() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


@lru_cache(maxsize=8)
def talks(group: str) -> dict[str, list[Template]]:
    """A group's answers by section, as `train.answers` draws from them."""
    return by_section(FOLDER / group, read_talks)


def every_wording(path: Path) -> Iterator[Template]:
    """Each wording of each answer with each of its notes."""
    for one in read_talks(path):
        questions = itertools.cycle(one.asked)
        for answered, noted in itertools.product(one.answered, one.noted):
            yield one.way(next(questions), answered, noted)


def each_wording_once(path: Path) -> Iterator[Template]:
    """The like, with each question, wording and note at least once."""
    for one in read_talks(path):
        ways = (one.asked, one.answered, one.noted)
        for way in each_once(*ways):
            yield one.way(*way)


def main(arguments: list[str] | None = None) -> int:
    purpose = "Checks questions with their answers."
    return check("train.talks", purpose, "wordings", every_wording, arguments)


if __name__ == "__main__":
    sys.exit(main())
