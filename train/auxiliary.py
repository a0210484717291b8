"""Training pairs for the adapters beside their data sets.

Run as:

    python -m train.auxiliary --work data/pretraining --out data/aux

The radiology reports that are open are chest X-rays, but for some dozens: an adapter that has read
little else answers an ankle with "no acute cardiopulmonary abnormality". The conversations and the
consumers' questions are about a thousand each: too few to learn that a drug's name must be carried
over. So the adapters also learn from

    radiology-grammar.jsonl, chest-grammar.jsonl, dialogue-grammar.jsonl
                                 pairs drawn from the grammars of train/grammar (train.synthetic)
    drawn-reports.jsonl          reports of every examination, put together from parts (train.drawn);
                                 between what is drawn stand sentences of the training reports
                                 (--reports) that tell nothing abnormal
    named-reports.jsonl          the like, and the training reports, with phrases of MTSamples and of
                                 textbooks in place of what they name (train.substitution)
    messages.jsonl               consumers' messages, drawn with what they ask (train.messages);
                                 between what is drawn stand sentences of the training messages
                                 (--questions) and of spoken-notes.jsonl that ask for nothing
    concerns.jsonl               the like, each from an entry of `train/grammar/concerns.yaml`
    mtsamples-notes.jsonl        sections of MTSamples' notes, told as rough conversations
    spoken-notes.jsonl           the same and more of them, sentence by sentence as it is said
                                 (train.spoken), a few turns in a row
    named-notes.jsonl            the same, and the training conversations (--conversations), with
                                 others' names in place of theirs (train.substitution)
    answers.jsonl                a few questions and answers, drawn from
                                 `train/grammar/answers.yaml` (train.answers), and what a note has
                                 of them
    visits.jsonl                 the like, as the transcript of a visit has them, under the headings
                                 of a visit's note
    answers-GROUP.jsonl, visits-GROUP.jsonl
                                 the like of both, drawn from exchanges that were written one by one
                                 (`train/answers/GROUP/*.txt`)
    answers-talks-GROUP.jsonl, visits-talks-GROUP.jsonl
                                 the like of both, of questions, answers and notes in many wordings
                                 (`train/talks/GROUP/*.txt`, train.talks)
    written-radiology.jsonl, written-joints.jsonl, written-films.jsonl, written-scans.jsonl,
    written-wordings.jsonl, written-reads.jsonl, written-rounds.jsonl, written-cases.jsonl,
    written-studies.jsonl, written-shifts.jsonl, written-dialogue.jsonl, written-visits.jsonl,
    written-notes.jsonl, written-encounters.jsonl, written-clinic.jsonl, written-question.jsonl,
    written-asked.jsonl, written-letters.jsonl, written-posts.jsonl, written-told.jsonl
                                 pairs written for this, each in many variants (train.written)
    bare-films.jsonl, bare-scans.jsonl, bare-wordings.jsonl, bare-reads.jsonl, bare-rounds.jsonl,
    bare-cases.jsonl, bare-studies.jsonl, bare-shifts.jsonl
                                 those of the written reports that have headings, without them and
                                 what stands under any but that of the findings
    phrased-GROUP.jsonl          reports put together from an examination's phrases, each thing said
                                 in many ways (`train/phrasings/GROUP/*.txt`, train.phrasings)
    mtsamples-conclusions.jsonl  MTSamples' other documents: the impression that a document ends
                                 with, from the text before it (`conclusion`), and the findings
                                 that are not normal, quoted as numbered points (`quoted`)

Of MTSamples and MedQuAD the text is read that `train.pretrain --stage prepare` kept, so no document
that shares a passage with a row of a task, of whatever split, is among it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from train.answers import answers, exchange_groups, exchanges, visits
from train.data import read_rows
from train.drawn import drawn, plain
from train.errors import DataError
from train.habits import habits
from train.messages import messages, remarks, statements
from train.objectives import (
    HEADING,
    Document,
    as_conversation,
    content_words,
    salient,
    sentences,
)
from train.phrasings import groups as phrasing_groups
from train.phrasings import phrased
from train.pretrain import read_documents
from train.spoken import windows
from train.substitution import common, phrases, renamed, substituted
from train.synthetic import conversations, reports
from train.talks import talk_groups, talks
from train.written import bare, groups, written

CONCLUSION = re.compile(r"^(?:FINAL )?(?:IMPRESSION|CONCLUSION|OPINION)S?:[ \t]*", re.MULTILINE)
EXAMINATION = re.compile(
    r"\b(?:MRI?|CT|PET|X-?rays?|ultrasound|sonograph\w*|radiograph\w*|scans?|echocardiogram|"
    r"Doppler|mammogra\w*|angiogra\w*|catheterization|colonoscopy|endoscopy|EEG|EMG|views)\b",
    re.IGNORECASE,
)
RESULTS = re.compile(
    r"^(?:[A-Z ]*FINDINGS|RESULTS|INTERPRETATION|DESCRIPTION|ANGIOGRAPHY|[A-Z0-9 \-]*ECHOCARDIOGRAM|"
    r"(?:DIAGNOSTIC|IMAGING|RADIOLOGIC|RADIOLOGY) (?:DATA|STUDIES)):",
    re.MULTILINE,
)
NORMAL = re.compile(
    r"\b(?:no|not|without|normal\w*|unremarkable|intact|negative|clear|within normal|patent|"
    r"consent|prepped|draped|tolerated|anesthesia|supine|informed)\b",
    re.IGNORECASE,
)


def conclusion(document: Document, most: int = 1800) -> tuple[str, str] | None:
    """(what stands before the conclusion, the conclusion), or None where there is none."""
    found = CONCLUSION.search(document.text)
    if not found:
        return None
    after = HEADING.search(document.text, found.end())
    target = document.text[found.end() : after.start() if after else None].strip()
    # the first two lines are the site's title and description: they tell the conclusion
    body = document.text[: found.start()].split("\n", 2)[-1].strip()
    if len(body) > most:
        body = body[-most:].partition("\n")[2] or body[-most:].partition(". ")[2]
    if not 200 < len(body) or not 15 < len(target) < 700:
        return None
    said, told = set(content_words(body)), content_words(target)
    if sum(word in said for word in told) < 0.6 * len(told):
        return None  # what the text does not hold, an adapter can only learn to make up
    return body.strip(), target


def quoted(rng: random.Random, document: Document) -> tuple[str, str] | None:
    """(the results of an examination, its abnormal sentences), or None."""
    found = RESULTS.search(document.text)
    if not found or not EXAMINATION.search(document.text[:1500]):
        return None
    after = CONCLUSION.search(document.text, found.end())
    parts = [
        part
        for part in sentences(document.text[found.end() : after.start() if after else None])
        if len(part) > 25 and not HEADING.match(part)
    ][: rng.randrange(5, 16)]
    telling = [part for part in parts if not NORMAL.search(part) and len(part) < 260]
    if len(parts) < 4 or not telling:
        return None
    chosen = sorted(salient(telling, min(len(telling), rng.randrange(1, 4))))
    lines = [telling[index] for index in chosen]
    if len(lines) > 1:
        lines = [f"{number}. {line}" for number, line in enumerate(lines, 1)]
    return " ".join(parts), "\n".join(lines)


def pairs(documents: list[Document], seed: int = 0) -> Iterator[dict[str, str]]:
    """Rows for training: `id`, `input`, `target`, `source`."""
    rng = random.Random(seed)
    seen: set[str] = set()
    for number, document in enumerate(documents):
        if document.source != "mtsamples":
            continue
        for way, pair in (("conclusion", conclusion(document)), ("quoted", quoted(rng, document))):
            if pair is None or pair[0][:200] in seen:
                continue
            seen.add(pair[0][:200])
            yield {
                "id": f"mtsamples-{way}-{number}",
                "input": pair[0],
                "target": pair[1],
                "source": f"mtsamples-{way}",
            }


# headings of MTSamples' notes -> sections of the dialogue task
NOTE_HEADINGS = {
    "HISTORY OF PRESENT ILLNESS": "GENHX",
    "HISTORY": "GENHX",
    "BRIEF HISTORY": "GENHX",
    "PAST MEDICAL HISTORY": "PASTMEDICALHX",
    "PAST SURGICAL HISTORY": "PASTSURGICAL",
    "SOCIAL HISTORY": "FAM/SOCHX",
    "FAMILY HISTORY": "FAM/SOCHX",
    "MEDICATIONS": "MEDICATIONS",
    "CURRENT MEDICATIONS": "MEDICATIONS",
    "ALLERGIES": "ALLERGY",
    "CHIEF COMPLAINT": "CC",
    "REVIEW OF SYSTEMS": "ROS",
    "PHYSICAL EXAMINATION": "EXAM",
    "PHYSICAL EXAM": "EXAM",
    "ASSESSMENT": "ASSESSMENT",
    "IMPRESSION": "ASSESSMENT",
    "PLAN": "PLAN",
    "RECOMMENDATIONS": "PLAN",
    "DISPOSITION": "DISPOSITION",
    "LABORATORY DATA": "LABS",
    "SUBJECTIVE": "GENHX",
}
# Beside these, for what is said sentence by sentence.
SPOKEN_HEADINGS = NOTE_HEADINGS | {
    "REASON FOR CONSULTATION": "CC",
    "DISCHARGE MEDICATIONS": "MEDICATIONS",
    "DISCHARGE DIAGNOSES": "ASSESSMENT",
    "DISCHARGE INSTRUCTIONS": "DISPOSITION",
    "HOSPITAL COURSE": "EDCOURSE",
    "ASSESSMENT AND PLAN": "assessment_and_plan",
}
BODY = frozenset(
    "ABDOMEN NECK EXTREMITIES LUNGS HEART CARDIOVASCULAR CHEST SKIN MUSCULOSKELETAL RESPIRATORY".split()
)


def _sections(document: Document) -> Iterator[tuple[int, str, str]]:
    """A note's sections: the place, the heading and the text of each."""
    found = list(HEADING.finditer(document.text))
    for place, heading in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(document.text)
        yield place, heading[1].strip(), document.text[heading.end() : end].strip()


def told_notes(documents: list[Document], seed: int = 0) -> Iterator[dict[str, str]]:
    """Rows: a section of a note, and before it the conversation that it might have come from.

    The conversation is the section's own sentences, said by doctor and patient in turn
    (`objectives.as_conversation`), so whatever the note says was said. Every second one goes on
    with another section of the same note, which is not asked for.
    """
    rng = random.Random(seed)
    for number, document in enumerate(documents):
        if document.source != "mtsamples":
            continue
        sections = [
            (name, text)
            for _, heading, text in _sections(document)
            if (name := NOTE_HEADINGS.get(heading)) and 20 < len(text) < 1200
        ]
        for place, (name, text) in enumerate(sections):
            said = _told(rng, text)
            others = [part for part in sections if part[0] != name]
            if others and rng.random() < 0.5:
                more = _told(rng, rng.choice(others)[1])
                said = "\n".join([said, more] if rng.random() < 0.5 else [more, said])
            yield {
                "id": f"mtsamples-note-{number}-{place}",
                "input": said,
                "target": text,
                "section": name,
                "source": "mtsamples-notes",
            }


def spoken_notes(
    documents: list[Document], seed: int = 0, times: int = 4, drawn: int = 3000
) -> Iterator[dict[str, str]]:
    """Rows: a few turns, and what the section of a note tells that they were made from.

    Args:
        times: ways in which each section is said.
        drawn: rows of what patients say that they do (`train.habits`), beside them.
    """
    rng = random.Random(seed)
    for number, document in enumerate(documents):
        if document.source != "mtsamples":
            continue
        for place, heading, text in _sections(document):
            name = SPOKEN_HEADINGS.get(heading)
            if heading in BODY:
                name, text = "EXAM", f"{heading.capitalize()}: {text}"
            for way in range(times if name else 0):
                for part, (said, told) in enumerate(windows(rng, name, text)):
                    yield {
                        "id": f"spoken-note-{number}-{place}-{way}-{part}",
                        "input": said,
                        "target": told,
                        "section": name,
                        "source": "spoken-notes",
                    }
    for number in range(drawn):
        name, said, told = habits(rng)
        yield {
            "id": f"spoken-habit-{number}",
            "input": said,
            "target": told,
            "section": name,
            "source": "spoken-notes",
        }


def _told(rng: random.Random, section: str) -> str:
    """The section as a conversation, without the turns that its list numbers would become."""
    return re.sub(r"(?m)^(?:\w+:|\[\w+\])[ \d.)]*$\n?", "", as_conversation(rng, section)).strip()


SHORT_CONVERSATIONS = frozenset({"mts-dialog"})  # sources of the dialogue task
CONSUMERS = frozenset({"meqsum"})  # sources of the question task that are consumers' messages
VARIANTS = 24  # of a written template
FEWER = {"wordings": 8}  # of templates that say each thing in many ways already
# Groups of which some reports have headings.
UNDER_HEADINGS = ("films", "scans", "wordings", "reads", "rounds", "cases", "studies", "shifts")
STATEMENTS = 2000  # of the spoken notes, between what a message says

ASKED = re.compile(
    r"^What (?:is \(are\)|are the (?:symptoms|treatments) (?:of|for)|causes) ([^?\n]{4,60}?) ?\?",
    re.MULTILINE,
)


def topics(documents: list[Document]) -> list[str]:
    """The conditions that MedQuAD's pages ask about, in alphabetical order."""
    found = (m[1] for d in documents if d.source == "medquad" for m in ASKED.finditer(d.text))
    return sorted({name.strip() for name in found if not name.startswith("the ")})


NO_NAME = re.compile(r"^(?:What|Living|About|Your|Smoking)\b|\b(?:and|You)\b")


def names(topics: list[str]) -> list[str]:
    """Those of the topics that name one condition, as a message would."""
    return [name for name in topics if len(name.split()) <= 6 and not NO_NAME.search(name)]


def conditions(documents: list[Document]) -> list[str]:
    """The names of one condition as they stand within a sentence: small, but for what is a name."""
    return [
        name
        if any(letter.isupper() for letter in name[1:]) and not name.istitle()
        else name.lower()
        for name in names(topics(documents))
    ]


def named_reports(
    count: int, films: list[dict[str, Any]], documents: list[Document]
) -> Iterator[dict[str, Any]]:
    """Of so many drawn reports, and of the training reports, those in which a phrase is replaced."""
    named = phrases(documents)
    # Another seed than that of the reports that are learned as they are.
    yield from substituted(drawn(count, plain(films), seed=1), named, "named-drawn", seed=1)
    yield from substituted(films, named, "named", seed=2)


def named_notes(
    spoken: list[dict[str, Any]], told: list[dict[str, Any]], documents: list[Document]
) -> Iterator[dict[str, Any]]:
    """The spoken notes and the training conversations, with others' names in place of theirs.

    Args:
        spoken: rows of spoken-notes.jsonl.
        told: training rows of the dialogue task: the short ones three times, the long ones twice,
            each time with other names.
    """
    kept, rng = common(documents), random.Random(4)
    named = (phrases(documents), conditions(documents))
    for row in spoken:
        if found := renamed(row, named, kept, 0.6, rng):
            yield found
    short = [row for row in told if row["source"] in SHORT_CONVERSATIONS]
    long = [row for row in told if row["source"] not in SHORT_CONVERSATIONS]
    for rows, times, share in ((short, 3, 0.4), (long, 2, 0.3)):
        for way in range(times):
            for row in rows:
                if found := renamed(row, named, kept, share, rng):
                    yield {**found, "id": f"{found['id']}-{way}"}


def write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    print(f"{count} pairs written to {path}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m train.auxiliary", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--work", type=Path, default=Path("data/pretraining"), help="prepared text")
    parser.add_argument("--out", type=Path, default=Path("data/aux"), help="folder to write to")
    parser.add_argument(
        "--count",
        type=int,
        default=2000,
        help="pairs of a grammar; twice as many chest films, three times as many conversations, "
        "six times as many stretches of visits, twenty times as many questions and answers, thirty times as many messages, drawn reports and reports from phrases (2000)",
    )
    parser.add_argument(
        "--questions",
        type=Path,
        default=Path("data/question/train.jsonl"),
        help="training rows of the question task, for sentences that ask for nothing",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        default=Path("data/radiology/train.jsonl"),
        help="training rows of the radiology task, for sentences that tell nothing abnormal",
    )
    parser.add_argument(
        "--conversations",
        type=Path,
        default=Path("data/dialogue/train.jsonl"),
        help="training rows of the dialogue task, to be told of other things",
    )
    parser.add_argument(
        "--variants", type=int, default=VARIANTS, help=f"of a written template ({VARIANTS})"
    )
    options = parser.parse_args(arguments)
    text = options.work / "train.jsonl.xz"
    if not text.exists():
        print(
            f"error: {text} is missing: make it with python -m train.pretrain --stage prepare.",
            file=sys.stderr,
        )
        return 1
    try:
        questions, films, visited = map(
            read_rows, (options.questions, options.reports, options.conversations)
        )
    except DataError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    for group in groups():
        times = min(options.variants, FEWER.get(group, options.variants))
        rows = list(written(group, times))
        write(options.out / f"written-{group}.jsonl", rows)
        if group in UNDER_HEADINGS:
            write(options.out / f"bare-{group}.jsonl", bare(rows))
    for group in phrasing_groups():
        write(options.out / f"phrased-{group}.jsonl", phrased(group, 30 * options.count))
    documents = read_documents(text)
    write(options.out / "mtsamples-conclusions.jsonl", pairs(documents))
    write(options.out / "radiology-grammar.jsonl", reports(options.count))
    write(options.out / "chest-grammar.jsonl", reports(2 * options.count, name="chest"))
    write(options.out / "drawn-reports.jsonl", drawn(30 * options.count, plain(films)))
    named = topics(documents)
    write(options.out / "named-reports.jsonl", named_reports(30 * options.count, films, documents))
    write(options.out / "dialogue-grammar.jsonl", conversations(3 * options.count, named))
    write(options.out / "mtsamples-notes.jsonl", told_notes(documents))
    write(options.out / "spoken-notes.jsonl", spoken_notes(documents))
    write(options.out / "answers.jsonl", answers(30 * options.count, conditions(documents)))
    write(options.out / "visits.jsonl", visits(6 * options.count, conditions(documents)))
    drawn_from = {group: exchanges(group) for group in exchange_groups()}
    drawn_from |= {f"talks-{group}": talks(group) for group in talk_groups()}
    for group, entries in drawn_from.items():
        path = options.out / f"answers-{group}.jsonl"
        write(path, answers(30 * options.count, entries=entries))
        write(path.with_name(f"visits-{group}.jsonl"), visits(5 * options.count, entries=entries))
    asked = [row["input"] for row in questions if row.get("source") in CONSUMERS]
    spoken = read_rows(options.out / "spoken-notes.jsonl")
    write(options.out / "named-notes.jsonl", named_notes(spoken, visited, documents))
    said = [row["input"] for row in spoken]
    found = [*remarks(asked), *statements(said, STATEMENTS)]
    write(options.out / "messages.jsonl", messages(30 * options.count, names(named), found))
    concerns = messages(15 * options.count, names(named), found, concerns=True)
    write(options.out / "concerns.jsonl", concerns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
