"""Radiology reports put together from an examination's phrases, each thing said in many ways.

Run as:

    python -m train.phrasings FILE [FILE ...]      checks files, tells every fault, shows some reports

A template (`train.written`) is one report in some wordings: who has learned it knows that report.
A bank (`train/phrasings/GROUP/*.txt`) holds the phrases of one examination instead, group by group:
what is said when the group is normal, and each of its findings in several wordings with the
conclusions that may be drawn. A report takes the groups in order, most of them normal and up to four with a
finding, each in one of its wordings; its impression has the conclusions, the graver first. So the
same sentence stands in ever other company, and the finding has to be found. Banks are the words of
this project; no patient's text is among them. A bank is

    @ exam: ankle            what is examined, for whoever reads the file
    @ modality: XR           the keys of a row
    @ side: right|left       optional: what <9> stands for, the same throughout a report
    [history]                lines that may stand before the findings and are told in no conclusion,
    [technique]              under a heading of their own or without it
    [comparison]
    [aside]                  lines about nothing that matters, told in no conclusion
    [normal]                 conclusions of a report without findings
    [calm]                   optional: what may be told before findings of rank 3, if there are no others
    [group NAME]             a group: first what is normal, a line each, then the findings
    Sentences.
    + RANK [NAME, NAME]      a finding of rank 1 (grave), 2 or 3 (slight or old), and in brackets the
                             other groups of which it speaks too
    Sentences with the finding.
    => A conclusion.

Blank lines and lines that begin with # are passed over. `<a|b>`, `<1:a|b>`, `<1:3..9>` and `{...}`
are those of `train.written`; a number counts within its finding.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from train.errors import DataError
from train.written import Template, check, each_once

FOLDER = Path(__file__).parent / "phrasings"
HOW_MANY = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4]  # findings of a report
TOLD = 0.75  # of the normal groups, those that a report speaks of
ASIDES = 0.4  # of the reports, those with a line about nothing that matters; a second one likewise
HEADED = 0.3  # of the reports, those with what stands before the findings under headings
OPENED = 0.25  # of the others, those that begin with a line of it
NAMED = 0.12  # of the reports, those with the group's name before its sentences
LINES = 0.12  # of the reports, those with a line for each group
SHUFFLED = 0.2  # of the reports, those whose groups stand in no order
NUMBERED = 0.65  # of the impressions of several conclusions, those that are numbered
CALMED = 0.6  # of the reports with nothing graver than rank 3, those that say so first
TRIES = 10  # for each report that is asked for: most are new at once

BEFORE = ("history", "technique", "comparison")
LISTS = (*BEFORE, "aside", "normal", "calm")
_SECTION = re.compile(r"\[(?:group )?([^\[\]]+)\]")
_FINDING = re.compile(r"\+ *([123])(?: *\[([^\[\]]*)\])?(?: .*)?")
_HEADER = re.compile(r"@ *(\w+): *(.+)")
_LABEL = re.compile(r"<([1-9])(?=[:>])")
_REPORT = 9  # the label that is the report's, not a finding's
_SIDED = re.compile(rf" (?:on|of|in) the <{_REPORT}>(?=[.,;])|<{_REPORT}> ")


@dataclass
class Finding:
    """One finding: its wordings, the conclusions that may be drawn, the groups it speaks for."""

    rank: int
    speaks_of: list[str]
    where: str
    said: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@dataclass
class Group:
    """What is said of one thing that is looked at."""

    name: str
    normal: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Bank:
    """The phrases of one examination."""

    where: str
    keys: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    side: str = ""


def read_banks(path: Path) -> list[Bank]:
    """The banks of a file: each begins with its `@ exam`. Raises DataError for what is no bank."""
    banks: list[Bank] = []
    lines: list[str] | None = None
    group: Group | None = None
    finding: Finding | None = None
    for number, raw in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        line, where = raw.strip(), f"{path.name}:{number}"
        if not line or line.startswith("#"):
            continue
        if header := _HEADER.fullmatch(line):
            if header[1] == "exam":
                banks.append(Bank(where))
                lines, group, finding = None, None, None
            if not banks:
                raise DataError(f"{where}: a bank begins with a line of @ exam.")
            if header[1] == "side":
                banks[-1].side = header[2].strip()
            elif header[1] != "exam":
                banks[-1].keys[header[1]] = header[2].strip()
        elif not banks:
            raise DataError(f"{where}: a bank begins with a line of @ exam.")
        elif section := _SECTION.fullmatch(line):
            finding = None
            if line.startswith("[group "):
                group = Group(section[1].strip())
                banks[-1].groups.append(group)
                lines = group.normal
            elif section[1] in LISTS:
                group, lines = None, banks[-1].lists.setdefault(section[1], [])
            else:
                raise DataError(f"{where}: there is no section [{section[1]}].")
        elif opened := _FINDING.fullmatch(line):
            if group is None:
                raise DataError(f"{where}: a finding stands outside of a group.")
            others = [name.strip() for name in (opened[2] or "").split(",") if name.strip()]
            finding = Finding(int(opened[1]), others, where)
            group.findings.append(finding)
            lines = finding.said
        elif line.startswith("=>"):
            if finding is None:
                raise DataError(f"{where}: a conclusion stands outside of a finding.")
            finding.told.append(line[2:].strip())
        elif lines is None or (finding is not None and finding.told):
            raise DataError(f"{where}: this line stands in no section: {line[:60]!r}.")
        else:
            lines.append(line.removeprefix("- "))
    for bank in banks:
        _whole(bank)
    return banks


def _whole(bank: Bank) -> None:
    """Raises DataError where something is missing from a bank."""
    names = [group.name for group in bank.groups]
    if len(names) < 3 or len(set(names)) < len(names):
        raise DataError(f"{bank.where}: a bank has at least three groups, each with its own name.")
    if len(bank.lists.get("normal", [])) < 2 or "modality" not in bank.keys:
        raise DataError(f"{bank.where}: a bank has a modality and two conclusions under [normal].")
    for group in bank.groups:
        if not group.normal:
            raise DataError(f"{bank.where}: [group {group.name}] says nothing normal.")
        for finding in group.findings:
            if unknown := [name for name in finding.speaks_of if name not in names]:
                raise DataError(f"{finding.where}: there is no group {unknown[0]!r}.")
            if len(finding.said) < 2 or not finding.told:
                raise DataError(f"{finding.where}: two wordings and a conclusion are needed.")


def compose(bank: Bank, rng: random.Random, findings: int | None = None) -> Template:
    """One report as a template of it, whose choices are still to be taken.

    Args:
        findings: how many it has at most; drawn when None.
    """
    wanted = rng.choice(HOW_MANY) if findings is None else findings
    chosen: dict[str, Finding] = {}
    spoken: set[str] = set()
    for group in rng.sample(bank.groups, len(bank.groups)):
        if len(chosen) == wanted:
            break
        fitting = [
            finding for finding in group.findings if not spoken & {group.name, *finding.speaks_of}
        ]
        if not fitting:
            continue
        chosen[group.name] = finding = rng.choice(fitting)
        spoken |= {group.name, *finding.speaks_of}

    labels = {name: place for place, name in enumerate(chosen, 1)}

    def own(text: str, name: str) -> str:
        """With labels that no other finding has."""

        def number(found: re.Match[str]) -> str:
            label = int(found[1])
            return f"<{_REPORT}" if label == _REPORT else f"<{10 * labels[name] + label}"

        return _LABEL.sub(number, text)

    said: list[str] = []
    headings = rng.random() < NAMED
    for group in bank.groups:
        if finding := chosen.get(group.name):
            text = own(rng.choice(finding.said), group.name)
        elif group.name in spoken or rng.random() > TOLD:
            continue
        else:
            text = rng.choice(group.normal)
        said.append(f"{group.name[:1].upper()}{group.name[1:]}: {text}" if headings else text)
    while bank.lists.get("aside") and rng.random() < ASIDES:
        said.insert(rng.randrange(len(said) + 1), rng.choice(bank.lists["aside"]))
    if rng.random() < SHUFFLED:
        rng.shuffle(said)
    body = ("\n" if rng.random() < LINES else " ").join(dict.fromkeys(said))

    before = [name for name in BEFORE if bank.lists.get(name)]
    if before and rng.random() < HEADED:
        capital = rng.random() < 0.7
        parts = [(name, rng.choice(bank.lists[name])) for name in before if rng.random() < 0.7]
        parts.append(("findings", body))
        body = "\n".join(
            f"{name.upper() if capital else name.capitalize()}: {text}" for name, text in parts
        )
    elif before and rng.random() < OPENED:
        body = f"{rng.choice(bank.lists[rng.choice(before)])} {body}"

    order = sorted(chosen, key=lambda name: chosen[name].rank)
    told = [own(rng.choice(chosen[name].told), name) for name in order]
    if not told:
        told = [rng.choice(bank.lists["normal"])]
    elif all(finding.rank == 3 for finding in chosen.values()):
        if bank.lists.get("calm") and rng.random() < CALMED:
            told.insert(0, rng.choice(bank.lists["calm"]))
    told = list(dict.fromkeys(told))
    if len(told) > 1 and rng.random() < NUMBERED:
        impression = "\n".join(f"{number}. {text}" for number, text in enumerate(told, 1))
    else:
        impression = " ".join(told)
    if bank.side:
        if f"<{_REPORT}>" not in body:  # an impression has no side that the text does not tell
            impression = _SIDED.sub("", impression)
        body, impression = (
            text.replace(f"<{_REPORT}>", f"<{_REPORT}:{bank.side}>") for text in (body, impression)
        )
    where = "; ".join(finding.where for finding in chosen.values()) or bank.where
    return Template(body, impression, where, dict(bank.keys))


def groups() -> list[str]:
    """The names of the groups of banks, in alphabetical order."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def banks(group: str) -> list[Bank]:
    """The banks of a group, in the order of its files."""
    return [bank for path in sorted((FOLDER / group).glob("*.txt")) for bank in read_banks(path)]


def phrased(group: str, count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Up to `count` reports of a group's banks, none twice: `id`, `input`, `target`, `source` and the bank's keys.

    A bank is drawn the more often the more findings it has.
    """
    rng = random.Random(seed)
    every = banks(group)
    weights = [8 + sum(len(part.findings) for part in bank.groups) for bank in every]
    seen: set[str] = set()
    for _ in range(TRIES * count):  # a bank of few words has few reports
        if len(seen) == count:
            return
        template = compose(rng.choices(every, weights)[0], rng)
        said, told = template.draw(rng)
        if said in seen:
            continue
        yield {
            "id": f"phrased-{group}-{len(seen)}",
            "input": said,
            "target": told,
            "source": "phrased",
            **template.keys,
        }
        seen.add(said)


def every_line(path: Path) -> Iterator[Template]:
    """Reports in which each finding of a file stands, each wording with each conclusion."""
    for finding, bank, group in _findings(path):
        for said, told in itertools.product(finding.said, finding.told):
            yield _only(bank, group, finding, said, told)
    yield from _normal(path)


def each_line_once(path: Path) -> Iterator[Template]:
    """The like, with each wording and each conclusion at least once: what the tests have time for."""
    for finding, bank, group in _findings(path):
        for said, told in each_once(finding.said, finding.told):
            yield _only(bank, group, finding, said, told)
    yield from _normal(path)


def _findings(path: Path) -> Iterator[tuple[Finding, Bank, Group]]:
    for bank in read_banks(path):
        for group in bank.groups:
            for finding in group.findings:
                yield finding, bank, group


def _only(bank: Bank, group: Group, finding: Finding, said: str, told: str) -> Template:
    """A report with one finding, in these words."""
    alone = replace(finding, said=[said], told=[told])
    others = [replace(other, findings=[alone] if other is group else []) for other in bank.groups]
    return compose(replace(bank, groups=others), random.Random(said), 1)


def _normal(path: Path, times: int = 12) -> Iterator[Template]:
    rng = random.Random(0)
    for bank in read_banks(path):
        for _ in range(times):
            yield compose(bank, rng, 0)


def main(arguments: list[str] | None = None) -> int:
    return check("train.phrasings", __doc__.split("\n\n")[0], "reports", every_line, arguments)


if __name__ == "__main__":
    sys.exit(main())
