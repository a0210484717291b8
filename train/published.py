"""The public data sets of the embedded model's recipes, fetched from where each is published.

Nothing of them is in this repository. A file is asked for at a fixed commit where that is known,
and its SHA-256 is written down at the first download: a later one that differs is refused. Sources,
licences and citations are in summarizer/sources.py.

Each reader turns one publisher's format into rows of `input`, `target` and, where known, `id`,
`section`, `modality`, `clinic`, `indication`, `split`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from summarizer.text import decode
from train.errors import DataError

RAW = "https://raw.githubusercontent.com"
ARCHIVE = "https://codeload.github.com"
Row = dict[str, Any]


@dataclass(frozen=True)
class Remote:
    """One file of a GitHub repository; an empty path is the whole repository as a .tar.gz."""

    repository: str
    reference: str  # a commit, or a branch where the commit is not known
    path: str
    split: str | None = None  # the publisher's own
    section: str | None = None

    def address(self, mirror: str | None) -> str:
        """Where it is fetched from; `mirror` serves the same paths from another root."""
        if self.path:
            return f"{mirror or RAW}/{self.repository}/{self.reference}/{self.path}"
        return f"{mirror or ARCHIVE}/{self.repository}/tar.gz/{self.reference}"


@dataclass(frozen=True)
class Published:
    """One data set: its files, and what reads one of them."""

    files: tuple[Remote, ...]
    read: Callable[[Remote, bytes], Iterator[Row]]


def fetch_rows(names: list[str], cache: Path, mirror: str | None = None) -> list[Row]:
    """The rows of the named data sets, each with its `source`.

    Args:
        cache: where downloads are kept, with checksums.json beside them.
        mirror: another root that serves the same paths.

    Raises:
        DataError: an unknown name, a failed download, a checksum that differs, another format.
    """
    rows: list[Row] = []
    for name in names:
        if name not in PUBLISHED:
            raise DataError(
                f"prepare.published: there is no data set {name!r}; known are "
                f"{', '.join(PUBLISHED)}."
            )
        found = 0
        for remote in PUBLISHED[name].files:
            content = fetch(remote, cache, mirror)
            try:
                for row in PUBLISHED[name].read(remote, content):
                    row.setdefault("id", f"{name}-{found}")
                    if remote.split is not None:
                        row.setdefault("split", remote.split)
                    rows.append({"source": name, **row})
                    found += 1
            except Exception as fault:  # each form has faults of its own
                _forget(remote, cache)
                raise DataError(
                    f"{remote.address(mirror)} is not in the form that {name} is published in: "
                    f"{type(fault).__name__} {' '.join(str(fault).split())[:120]}."
                ) from None
        if not found:
            raise DataError(f"No row was found in the files of {name}.")
    return rows


def fetch(remote: Remote, cache: Path, mirror: str | None) -> bytes:
    """A file's bytes, downloaded once, and the same as the first time.

    Raises:
        DataError: it cannot be downloaded, or its SHA-256 is another than the one written down.
    """
    import requests

    path, ledger = cache / _name(remote), cache / "checksums.json"
    name = path.name
    known = json.loads(ledger.read_text(encoding="utf-8")) if ledger.is_file() else {}
    if path.is_file() and known.get(name) == hashlib.sha256(path.read_bytes()).hexdigest():
        return path.read_bytes()
    address = remote.address(mirror)
    try:
        reply = requests.get(address, timeout=60)
        reply.raise_for_status()
    except requests.HTTPError as fault:
        raise DataError(f"{address}: the server answered {fault.response.status_code}.") from None
    except requests.RequestException:
        raise DataError(
            f"{address} cannot be reached: look at the network, and try again."
        ) from None
    content = reply.content
    digest = hashlib.sha256(content).hexdigest()
    if known.setdefault(name, digest) != digest:
        raise DataError(
            f"{address} is not the file that was downloaded first (SHA-256 {digest[:12]}, not "
            f"{known[name][:12]}): remove {ledger} if the change is wanted."
        )
    cache.mkdir(parents=True, exist_ok=True)
    for target, data in ((path, content), (ledger, json.dumps(known, indent=2).encode())):
        staged = target.with_name(f".{target.name}.part")
        staged.write_bytes(data)
        staged.replace(target)
    return content


def _name(remote: Remote) -> str:
    return re.sub(r"[^\w.-]+", "_", f"{remote.repository}/{remote.path or 'archive.tar.gz'}")


def _forget(remote: Remote, cache: Path) -> None:
    """Take a download that proved to be something else out of the cache and its checksums."""
    path, ledger = cache / _name(remote), cache / "checksums.json"
    known = json.loads(ledger.read_text(encoding="utf-8"))
    known.pop(path.name, None)
    ledger.write_text(json.dumps(known, indent=2), encoding="utf-8")
    path.unlink(missing_ok=True)


# --- radiology ----------------------------------------------------------------------------------


def _indiana(remote: Remote, content: bytes) -> Iterator[Row]:
    """Open-i chest X-rays: uid, MeSH, indication, findings, impression (masks are XXXX).

    MeSH: what the librarians of Open-i coded of film and report ("Cardiomegaly/mild;Opacity/lung"),
    or "normal".
    """
    for line in csv.DictReader(io.StringIO(decode(content))):
        yield {
            "id": f"indiana-{line['uid']}",
            "input": line["findings"],
            "target": line["impression"],
            "modality": "XR",
            "clinic": "indiana",
            "indication": line["indication"],
            "mesh": line["MeSH"],
            "patient": line["uid"],
        }


def _parrot(remote: Remote, content: bytes) -> Iterator[Row]:
    """PARROT: reports in English translation, split at their Results and Impression headings."""
    for number, report in enumerate(json.loads(decode(content))):
        parts = report_parts(report["English translation"])
        if parts is None:
            continue
        findings, impression, indication = parts
        yield {
            "id": f"parrot-{number}",
            "input": findings,
            "target": impression,
            "modality": report.get("DICOM Modality"),
            "exam": report.get("Area"),
            "clinic": "parrot",
            "indication": indication,
            "split": "test",
        }


_MODALITIES = (
    ("MR", r"\bMRI?\b|\bmagnetic\b"),
    ("CT", r"\bCTA?\b|\bcomputed\b"),
    ("US", r"\bultraso\w+|\bsonogra\w+|\bdoppler\b|\bechocardio\w+"),
    ("NM", r"\bscintigra\w+|\bPET\b|\bnuclear\b|\bmyoview\b|\bthallium\b|\bbone scan\b|\bHIDA\b"),
    ("MG", r"\bmammogra\w+"),
    ("XR", r"\bx-?rays?\b|\bradiograph\w*|\bchest, (?:PA|two)\b|\bviews?\b|\bfluoro\w+"),
)


def _mtsamples(remote: Remote, content: bytes) -> Iterator[Row]:
    """mtsamples.com: cached pages of one transcription each; those with findings and impression."""
    seen: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            if not member.isfile() or not member.name.endswith("/response_body"):
                continue
            body = archive.extractfile(member).read()  # type: ignore[union-attr]
            body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            page = _PageText()
            page.feed(decode(body))
            parts = report_parts(page.text())
            if parts is None or parts[0] in seen:
                continue
            seen.add(parts[0])
            exam = re.search(r"Sample Name:\s*(.+)", page.text())
            name = exam[1].strip() if exam else ""
            yield {
                "id": f"mtsamples-{hashlib.sha256(parts[0].encode()).hexdigest()[:10]}",
                "input": parts[0],
                "target": parts[1],
                "modality": modality_of(f"{name} {parts[2] or ''} {parts[0][:300]}"),
                "exam": name,
                "clinic": "mtsamples",
                "indication": parts[2],
            }


class _PageText(HTMLParser):
    """The text of a page, block by block, scripts left out."""

    BLOCKS = frozenset(["br", "p", "div", "b", "h1", "h2", "h3", "li", "tr"])

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.skipped = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.skipped += tag in ("script", "style")
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.skipped -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.skipped:
            self.parts.append(data.replace("\n", " "))

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self.parts).splitlines())
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


_HEADING = re.compile(
    r"^[ \t]*(?P<name>clinical history|history|indications?|reason for exam\w*|technique|protocol|"
    r"exam(?:ination)?|procedure|comparison|findings|results?|impressions?|conclusions?|"
    r"recommendations?|interpretation|summary|keywords)[ \t]*:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_FINDINGS = ("findings", "result", "results")
_IMPRESSION = ("impression", "impressions", "conclusion", "conclusions")
_INDICATION = ("clinical history", "history", "indication", "indications")


def report_parts(text: str) -> tuple[str, str, str | None] | None:
    """Findings, impression and, if there is one, indication of a report with headings; else None."""
    found: dict[str, str] = {}
    marks = list(_HEADING.finditer(text))
    for place, mark in enumerate(marks):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(text)
        name = re.sub(r"^reason for exam\w*$", "indication", mark["name"].lower())
        found.setdefault(name, text[mark.end() : end].strip())
    findings = next((found[name] for name in _FINDINGS if found.get(name)), None)
    impression = next((found[name] for name in _IMPRESSION if found.get(name)), None)
    indication = next((found[name] for name in _INDICATION if found.get(name)), None)
    if not findings or not impression:
        return None
    return findings, impression, indication


def modality_of(text: str) -> str | None:
    """A DICOM modality that the words of a report name, or None."""
    for modality, pattern in _MODALITIES:
        if re.search(pattern, text, re.IGNORECASE):
            return modality
    return None


# --- dialogue -----------------------------------------------------------------------------------


def _mts_dialog(remote: Remote, content: bytes) -> Iterator[Row]:
    """MTS-Dialog: ID, section_header, section_text, dialogue."""
    for line in csv.DictReader(io.StringIO(decode(content))):
        yield {
            "id": f"mts-{remote.split}-{line['ID']}",
            "input": line["dialogue"],
            "target": line["section_text"],
            "section": line["section_header"],
        }


def _aci_bench(remote: Remote, content: bytes) -> Iterator[Row]:
    """ACI-Bench: whole visits; one file for each division of the note."""
    for number, pair in enumerate(json.loads(decode(content))["data"]):
        yield {
            "id": f"aci-{remote.split}-{Path(remote.path).stem}-{number}",
            "input": pair["src"],
            "target": pair["tgt"],
            "section": remote.section,
        }


def _primock57(remote: Remote, content: bytes) -> Iterator[Row]:
    """PriMock57: a note in JSON, and a TextGrid for each speaker, merged by time."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        files = {member.name.partition("/")[2]: member for member in archive if member.isfile()}

        def read(path: str) -> str:
            return decode(archive.extractfile(files[path]).read())  # type: ignore[union-attr]

        for path in sorted(files):
            match = re.fullmatch(r"notes/(day\d+_consultation\d+)\.json", path)
            if match is None:
                continue
            note = json.loads(read(path))
            turns = [
                (start, speaker, said)
                for speaker in ("doctor", "patient")
                for start, said in intervals(read(f"transcripts/{match[1]}_{speaker}.TextGrid"))
            ]
            yield {
                "id": f"primock57-{match[1]}",
                "input": "\n".join(f"{who.capitalize()}: {said}" for _, who, said in sorted(turns)),
                "target": note["note"],
                "section": "full_note",
                "indication": note.get("presenting_complaint"),
            }


def intervals(grid: str) -> list[tuple[float, str]]:
    """Start in seconds and text of the spoken intervals of a Praat TextGrid."""
    found = re.findall(r'xmin = ([\d.]+)\s+xmax = [\d.]+\s+text = "((?:[^"]|"")*)"', grid)
    cleaned = ((float(start), re.sub(r"<[^>]*>", " ", said)) for start, said in found)
    # A quotation mark is written twice.
    return [
        (start, " ".join(said.replace('""', '"').split()))
        for start, said in cleaned
        if said.strip()
    ]


# --- question -----------------------------------------------------------------------------------


def _workbook(content: bytes) -> Iterator[dict[str, str]]:
    """The rows of a workbook's first sheet, by their header in lower case."""
    from openpyxl import load_workbook

    lines = (
        load_workbook(io.BytesIO(content), read_only=True).worksheets[0].iter_rows(values_only=True)
    )
    header = [str(name or "").strip().lower() for name in next(lines)]
    for line in lines:
        yield {key: "" if value is None else str(value) for key, value in zip(header, line)}


def _meqsum(remote: Remote, content: bytes) -> Iterator[Row]:
    """MeQSum: File, CHQ, Summary."""
    for number, line in enumerate(_workbook(content)):
        yield {"id": f"meqsum-{number}", "input": line["chq"], "target": line["summary"]}


def _mediqa2021(remote: Remote, content: bytes) -> Iterator[Row]:
    """MEDIQA 2021 Task 1: NLM Question, Summary."""
    for number, line in enumerate(_workbook(content)):
        question = next(
            value for key, value in line.items() if "question" in key and "id" not in key
        )
        summary = next(value for key, value in line.items() if "summary" in key)
        yield {"id": f"mediqa2021-{number}", "input": question, "target": summary}


def _rqe(remote: Remote, content: bytes) -> Iterator[Row]:
    """RQE: pairs of questions; true ones whose second is clearly shorter than the first.

    Target below 0.8 of the input's words, input of at least 12 words.
    """
    for pair in ElementTree.fromstring(content).iter("pair"):
        long, short = (pair.findtext(tag) or "" for tag in ("chq", "faq"))
        words, target_words = len(long.split()), len(short.split())
        if pair.get("value") == "true" and words >= 12 and target_words < 0.8 * words:
            yield {"id": f"rqe-{pair.get('pid')}", "input": long, "target": short, "split": "train"}


def _liveqa(remote: Remote, content: bytes) -> Iterator[Row]:
    """LiveQA 2017 medical: SUBJECT and MESSAGE; NLM-Summary, NIST-PARAPHRASE."""
    for question in ElementTree.fromstring(content).iter("NLM-QUESTION"):
        parts = {
            tag: question.findtext(f"Original-Question/{tag}") for tag in ("SUBJECT", "MESSAGE")
        }
        said = [f"{tag}: {' '.join(part.split())}" for tag, part in parts.items() if part]
        yield {
            "id": f"liveqa-{question.get('qid')}",
            "input": "\n".join(said),
            "target": question.findtext("NLM-Summary") or "",
            "alt_target": question.findtext("NIST-PARAPHRASE"),
            "split": "test",
        }


# --- where they are -----------------------------------------------------------------------------

_ACI = "5d3cd4d8a25b4ebb5b2b87c3923a7b2b7150e33d"
_ACI_SECTIONS = {
    "subjective": "_subjective",
    "objective_exam": "_objective_exam",
    "objective_results": "_objective_results",
    "assessment_and_plan": "_assessment_and_plan",
}
_ACI_FILES = (
    ("train", "train", "_full"),
    ("validation", "valid", ""),
    ("test", "clinicalnlp_taskB_test1", ""),
    ("test", "clinicalnlp_taskC_test2", ""),
)
_MTS = (
    ("train", "3d2beb01913d076cc51a57ff3a0c35894b2248ad", "MTS-Dialog-TrainingSet.csv"),
    ("validation", "db552cde9da99ff6e24cc6b1b5de5415d83f1850", "MTS-Dialog-ValidationSet.csv"),
    (
        "test",
        "10eadbd1a95911b6d6806a397a5d6414cb278c24",
        "MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv",
    ),
)

PUBLISHED: dict[str, Published] = {
    "indiana-openi": Published(
        (
            Remote(
                "SaadSubhaniTheProgrammerVersion/"
                "Textual-Report-Generation-from-Chest-X-rays-Indiana-Dataset",
                "a3d4e703db3f1a54c91a265653771eb295fd5241",
                "indiana_reports.csv",
            ),
        ),
        _indiana,
    ),
    "mtsamples": Published(
        (Remote("terrah27/spider_mtsamples.com", "734e9b291b10ecb7ba353c12e85c1f2e12a66800", ""),),
        _mtsamples,
    ),
    "parrot-v0": Published(
        (
            Remote(
                "PARROT-reports/PARROT-v0",
                "cd9d898a675753da2fd80a23a1fb08e2e7434bfb",
                "Fr_sample.json",
            ),
        ),
        _parrot,
    ),
    "mts-dialog": Published(
        tuple(
            Remote("abachaa/MTS-Dialog", commit, f"Main-Dataset/{name}", split)
            for split, commit, name in _MTS
        ),
        _mts_dialog,
    ),
    "mts-dialog-augmented": Published(
        (
            Remote(
                "abachaa/MTS-Dialog",
                "36603836ed5a0488f2a6b693cfded1ad1b0ff2e7",
                "Augmented-Data/MTS-Dialog-Augmented-TrainingSet-1-En-FR-EN-2402-Pairs.csv",
                "train",
            ),
        ),
        _mts_dialog,
    ),
    "aci-bench": Published(
        tuple(
            Remote(
                "wyim/aci-bench", _ACI, f"data/challenge_data_json/{name}{end}.json", split, section
            )
            for split, name, whole in _ACI_FILES
            for section, end in (("full_note", whole), *_ACI_SECTIONS.items())
        ),
        _aci_bench,
    ),
    "primock57": Published(
        (Remote("babylonhealth/primock57", "f01a3cf760ae5003d05fc5a9d2cba92a8e599561", ""),),
        _primock57,
    ),
    "meqsum": Published(
        (Remote("abachaa/MeQSum", "master", "MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx"),),
        _meqsum,
    ),
    "mediqa2021-task1": Published(
        (
            Remote(
                "abachaa/MEDIQA2021",
                "main",
                "Task1/MEDIQA2021-Task1-QuestionSummarization-ValidationSet.xlsx",
                "validation",
            ),
        ),
        _mediqa2021,
    ),
    "rqe-amia2016": Published(
        (Remote("abachaa/RQE_Data_AMIA2016", "master", "RQE_Train_8588_AMIA2016.xml"),), _rqe
    ),
    "liveqa2017-nlm": Published(
        (
            Remote(
                "abachaa/LiveQA_MedicalTask_TREC2017",
                "e784f2d28b6a174e9a8d9f740876bdaccbd705af",
                "TestDataset/TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml",
            ),
        ),
        _liveqa,
    ),
}
