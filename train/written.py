"""Pairs written for this project, each in many variants.

Run as:

    python -m train.written FILE [FILE ...]      checks files, tells every fault, shows some pairs

`train/written/GROUP-*.txt` holds templates: what a text says and what its summary says, with the
places where other things may be said. They are the words of this project; no patient's text is
among them. A group's rows are drawn together, so new templates go into a new group: what an adapter
has learned from is then drawn as it was. A template ends with a line of `===` and may open with
lines of `@ key: value` (`modality`, `section`); a line of `=>` divides the text from its summary.
Within both

    <a|b|c>      one of these is taken
    <1:a|b|c>    the same, by a label: wherever the label stands again, in text or summary, the same
                 place is taken: of <1:x|y|z>, another list of as many, or, as <1>, of the list itself
    <2:3..12>    a whole number from 3 to 12; <2:0.4..2.5> one with as many decimals
    {...}        in the text alone: may be left out
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from train.errors import DataError

FOLDER = Path(__file__).parent / "written"
LEFT_OUT = 0.3  # of the parts that may be
_CHOICE = re.compile(r"<(?:(\d+)(?::([^<>]*))?|([^<>]*\|[^<>]*))>")
_RANGE = re.compile(r"(\d+(?:\.(\d+))?)\.\.(\d+(?:\.\d+)?)")
_OPTIONAL = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_HEADER = re.compile(r"@ *(\w+): *(.+)")
_WORD = re.compile(r"\d[\d.]*\d|\d|[A-Za-z]{4,}")
_START = re.compile(r"(\A|^\d+\. |^- |[^\W.]{2}[.?!] )([a-z])", re.MULTILINE)


@dataclass(frozen=True)
class Template:
    """One pair with its choices. `where` names file and line for a message."""

    said: str
    told: str
    where: str
    keys: dict[str, str] = field(default_factory=dict)
    about: str = ""  # what it answers: of two that answer the same, one is drawn (train.answers)

    def draw(self, rng: random.Random) -> tuple[str, str]:
        """(the text, its summary), all choices taken. Raises DataError for a fault in them."""
        places: dict[str, float] = {}
        lists: dict[str, str] = {}
        said = _OPTIONAL.sub(lambda part: "" if rng.random() < LEFT_OUT else part[1], self.said)
        # A label's list may stand in a part that was left out.
        for label, ways, _ in _CHOICE.findall(self.said):
            if ways:
                lists.setdefault(label, ways)

        def choose(found: re.Match[str]) -> str:
            label, ways, free = found.groups()
            if free is not None:
                return rng.choice(free.split("|"))
            if ways is None and label not in lists:
                raise DataError(f"{self.where}: <{label}> stands before its list.")
            ways = lists.setdefault(label, ways) if ways is None else ways
            if between := _RANGE.fullmatch(ways):
                low, decimals, high = between.groups()
                digits = len(decimals or "")
                if label not in places:
                    places[label] = round(rng.uniform(float(low), float(high)), digits)
                return f"{places[label]:.{digits}f}"
            options = ways.split("|")
            place = places.setdefault(label, rng.randrange(len(options)))
            if place >= len(options):
                raise DataError(f"{self.where}: the lists of <{label}:...> differ in length.")
            return options[int(place)]

        texts = [_CHOICE.sub(choose, text) for text in (said, self.told)]
        for text in texts:
            if left := re.search(r"[<>{}|]", re.sub(r"[<>]=? ?\d", "", text)):
                raise DataError(f"{self.where}: {left[0]} is left over in {text[:80]!r}.")
        said, told = map(_tidy, texts)
        return _capitals(said) if "modality" in self.keys else said, _capitals(told)


def _capitals(text: str) -> str:
    """With the capitals that sentences and points of a list begin with."""
    return _START.sub(lambda found: found[1] + found[2].upper(), text)


def _tidy(text: str) -> str:
    """Without the spaces that a choice of nothing leaves."""
    text = re.sub(r"[ \t]+([,.;:?!])(?!\d)", r"\1", text)
    text = re.sub(r"[ \t]{2,}", " ", text)
    text = re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return text


def templates(path: Path) -> Iterator[Template]:
    """The templates of a file. Raises DataError for one without a text or a summary."""
    line = 1
    for block in re.split(r"(?m)^===+[ \t]*$", path.read_text(encoding="utf-8")):
        where = f"{path.name}:{line + block[: len(block) - len(block.lstrip())].count(chr(10))}"
        line += block.count("\n")
        if not block.strip():
            continue
        keys: dict[str, str] = {}
        lines = block.strip().split("\n")
        while lines and (header := _HEADER.fullmatch(lines[0].strip())):
            keys[header[1]] = header[2].strip()
            lines.pop(0)
        if [part.strip() for part in lines].count("=>") != 1:
            raise DataError(f"{where}: there must be one line of => between text and summary.")
        middle = [part.strip() for part in lines].index("=>")
        said, told = "\n".join(lines[:middle]).strip(), "\n".join(lines[middle + 1 :]).strip()
        if not said or not told:
            raise DataError(f"{where}: text or summary is empty.")
        yield Template(said, told, where, keys)


def files(group: str) -> list[Path]:
    """The files of a group, in alphabetical order."""
    return sorted(FOLDER.glob(f"{group}-*.txt"))


def each_once(*ways: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Of several ways together, so many that each stands there at least once."""
    together = zip(*map(itertools.cycle, ways), strict=False)
    return itertools.islice(together, max(map(len, ways)))


def groups() -> list[str]:
    return sorted({path.stem.partition("-")[0] for path in files("*")})


def written(group: str, times: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Rows of a group's templates: `id`, `input`, `target`, `source` and the template's keys.

    Args:
        times: variants of each template, less where it has fewer.
    """
    rng = random.Random(seed)
    for path in files(group):
        for number, template in enumerate(templates(path)):
            seen: set[str] = set()
            for way in range(times):
                said, told = template.draw(rng)
                if said in seen:
                    continue
                seen.add(said)
                yield {
                    "id": f"written-{path.stem}-{number}-{way}",
                    "input": said,
                    "target": told,
                    "source": "written",
                    **template.keys,
                }


_FINDINGS = re.compile(r"^(?:findings|report):\s*", re.MULTILINE | re.IGNORECASE)
_TAIL = re.compile(
    r"^(?:exam\w*|study|comparison|technique|procedure|indication|(?:clinical )?history|reason\b[\w ]*"
    r"|clinical\b[\w ]*|request|question|assessment):",
    re.MULTILINE | re.IGNORECASE,
)


def bare(rows: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Of reports with headings, the findings alone, as most open reports have them.

    A report is left out whose impression has a number or a word from what is cut off: it would
    teach to tell what the text does not say.
    """
    for row in rows:
        text = row["input"]
        if not (start := _FINDINGS.search(text)):
            continue
        after = _TAIL.search(text, start.end())
        findings = text[start.end() : after.start() if after else None].strip()
        cut = text[: start.start()] + (text[after.start() :] if after else "")
        known = {word.lower() for word in _WORD.findall(findings)}
        missed = {word.lower() for word in _WORD.findall(cut)} - known
        told = {word.lower() for word in _WORD.findall(re.sub(r"(?m)^\d+\. ", "", row["target"]))}
        if len(findings.split()) >= 12 and not told & missed:
            yield {**row, "id": f"{row['id']}-bare", "input": _capitals(findings)}


def faults(template: Template, draws: int = 12) -> list[str]:
    """What is wrong with a template, a sentence each: choices, or numbers that the text lacks."""
    rng, found = random.Random(0), []
    for _ in range(draws):
        try:
            said, told = template.draw(rng)
        except DataError as fault:
            return [str(fault)]
        numbers = set(_NUMBER.findall(said))
        # a conversation says its numbers in words
        body = "" if "section" in template.keys else re.sub(r"(?m)^\d+\. ", "", told)
        lacking = [number for number in _NUMBER.findall(body) if number not in numbers]
        if lacking:
            found.append(f"{template.where}: the summary says {lacking[0]}, the text does not.")
            break
    return found


def main(arguments: list[str] | None = None) -> int:
    return check("train.written", __doc__.split("\n\n")[0], "templates", templates, arguments)


def check(
    program: str,
    purpose: str,
    noun: str,
    read: Callable[[Path], Iterable[Template]],
    arguments: list[str] | None = None,
) -> int:
    """The command that checks files of templates. Returns the exit status.

    Args:
        noun: what a file holds, in the plural.
        read: yields what a file holds; raises DataError.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=purpose)
    parser.add_argument("files", type=Path, nargs="+", help=f"files of {noun}")
    parser.add_argument("--show", type=int, default=3, help=f"{noun} to show of each file (3)")
    options = parser.parse_args(arguments)
    wrong = 0
    for path in options.files:
        try:
            every = list(read(path))
        except (DataError, OSError, UnicodeDecodeError) as fault:
            print(f"error: {fault}", file=sys.stderr)
            wrong += 1
            continue
        found = [faults(template) for template in every]
        for fault in dict.fromkeys(itertools.chain(*found)):
            print(f"error: {fault}", file=sys.stderr)
            wrong += 1
        print(f"{path.name}: {len(every)} {noun}")
        sound = [template for template, wrongs in zip(every, found, strict=True) if not wrongs]
        for template in random.Random().sample(sound, min(options.show, len(sound))):
            said, told = template.draw(random.Random())
            print(f"--- {template.where}\n{said}\n=>\n{told}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
