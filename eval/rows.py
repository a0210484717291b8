"""Test rows and predictions as they lie in files, checked before anything is scored.

A row is a JSON object with `id`, `input`, `target`, and where known `source`, `section`, ... A
predictions file holds the same rows with a text of each system (`base`, `lora`, ...); beside it
lies `<file>.meta.json`, which says how each system wrote. Every fault is a DataError of one
sentence that names the row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.floors import FLOORS
from eval.style import words
from summarizer.backbone import file_sha256

Row = dict[str, Any]

# What a row says of itself: no system can be called so, for its text would take the field's place.
ROW_FIELDS = frozenset(
    "id input target task source section modality clinic indication near_dup_in_train "
    "target_in_train finish words_unread".split()
)

# How the text of a system may have come about. Teacher-forced text is not among them: a model that
# is shown the reference's words while it writes is not tested by it.
METHODS = {"generate": "a model's own text, token by token", "rule": "a floor of eval.floors"}


class DataError(ValueError):
    """A file or a row that cannot be scored; the message is one sentence."""


@dataclass(frozen=True)
class Predictions:
    """What each system wrote for the same rows.

    outputs: {system: one text a row}. systems: {system: how it wrote: `method` and settings}.
    extras: per-row facts of each system that text does not show: {"cut_off": {system: flags}}.

    Raises DataError where a system lacks a text or its way of writing is unknown or refused.
    """

    task: str
    rows: list[Row]
    outputs: dict[str, list[str]]
    systems: dict[str, dict[str, Any]]
    data: dict[str, Any]
    extras: dict[str, dict[str, list[bool]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.outputs:
            raise DataError("The predictions hold no system to score.")
        for name, texts in self.outputs.items():
            if len(texts) != len(self.rows):
                raise DataError(
                    f"{name} has {len(texts)} outputs for {len(self.rows)} rows: "
                    "every system is scored on the same rows."
                )
            check_name(name)
            check_method(name, self.systems.get(name))
            if self.systems[name]["method"] == "generate":
                _refuse_teacher_forcing(name, texts, self.rows)

    def take(self, which: Sequence[int]) -> Predictions:
        """The same predictions for some of the rows."""
        return Predictions(
            self.task,
            [self.rows[k] for k in which],
            {name: [texts[k] for k in which] for name, texts in self.outputs.items()},
            self.systems,
            self.data,
            {
                fact: {name: [flags[k] for k in which] for name, flags in by_system.items()}
                for fact, by_system in self.extras.items()
            },
        )

    def empty_outputs(self) -> list[str]:
        """One sentence for each system that wrote nothing somewhere; such rows score 0."""
        notes = []
        for name, texts in self.outputs.items():
            empty = [k for k, text in enumerate(texts) if not words(text)]
            if empty:
                first = f"row {empty[0] + 1} (id {self.rows[empty[0]]['id']})"
                more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
                notes.append(f"{name} wrote nothing for {first}{more}: scored as 0, not left out.")
        return notes


def read_rows(path: Path | str) -> list[Row]:
    """The rows of a JSON Lines file. Raises DataError: no file, no rows, or a bad row."""
    path = Path(path)
    rows: list[Row] = []
    known: dict[str, int] = {}
    for line, row in _objects(path):
        where = f"{path.name}, row {line}"
        _refuse_half_characters(where, row)
        for key in ("input", "target"):
            if not isinstance(row.get(key), str):
                raise DataError(f"{where}: the field {key!r} is missing or is no text.")
            if not row[key].strip():
                what = "reference (the field 'target')" if key == "target" else "input"
                raise DataError(f"{where}: the {what} is empty, so there is nothing to score.")
        if not isinstance(row.get("section"), (str, type(None))):
            raise DataError(f"{where}: the field 'section' is no text.")
        identifier = row.get("id")
        if not isinstance(identifier, (str, int)) or identifier == "":
            raise DataError(f"{where}: the field 'id' is missing.")
        row["id"] = str(identifier)
        if row["id"] in known:
            raise DataError(
                f"{where}: the id {row['id']} is already that of row {known[row['id']]}."
            )
        known[row["id"]] = line
        rows.append(row)
    if not rows:
        raise DataError(f"{path.name} holds no rows.")
    return rows


def read_predictions(
    path: Path | str,
    *,
    task: str | None = None,
    systems: Sequence[str] = (),
    generated_by: str | None = None,
) -> Predictions:
    """A predictions file with its sidecar.

    task, systems, generated_by: what the sidecar would say, for text made elsewhere. Raises
    DataError: see the class; also a missing or doubled id, and another task's file.
    """
    path = Path(path)
    rows = read_rows(path)
    meta = read_meta(path) or {}
    described = dict(meta.get("systems") or {})
    names = list(systems or described or [n for n in ("base", "lora") if n in rows[0]])
    if not names:
        raise DataError(
            f"{path.name} does not say which fields hold outputs: name them with --systems."
        )
    if generated_by:
        for name in names:
            described.setdefault(name, {"method": "generate", "made_by": generated_by})
    for name in names:
        check_name(name)
        if name not in described:
            raise DataError(
                f"{path.name} does not say how {name!r} was written: a score needs generated text, "
                f"so say what generated it with --generated-by, or in {meta_path(path).name}."
            )
    task = _one_task(path.name, task, meta.get("task"))
    check_task(task, rows, path.name)
    outputs = {
        name: [_output(path.name, k, row, name) for k, row in enumerate(rows)] for name in names
    }
    finish = [row["finish"] if isinstance(row.get("finish"), dict) else {} for row in rows]
    cut_off = {
        name: [f.get(name) == "length" for f in finish]
        for name in names
        if all(name in f for f in finish)
    }
    data = describe_data(path, len(rows)) | (meta.get("data") or {})
    if data["n"] != len(rows):
        raise DataError(
            f"{path.name} has {len(rows)} rows, and its {meta_path(path).name} says "
            f"{data['n']}: predict again, so that every system is scored on all rows."
        )
    return Predictions(
        task,
        rows,
        outputs,
        {name: described[name] for name in names},
        data,
        {"cut_off": cut_off} if cut_off else {},
    )


def check_name(name: str) -> None:
    """Refuse a system that is called like a field of the rows. Raises DataError."""
    if name in ROW_FIELDS:
        raise DataError(f"A system cannot be called {name!r}: that is a field of the rows.")


def check_method(name: str, system: Mapping[str, Any] | None) -> None:
    """Refuse a system whose text was not generated. Raises DataError."""
    method = (system or {}).get("method")
    if method == "rule" and name not in FLOORS:
        raise DataError(
            f"{name!r} is no floor, so no rule wrote it: there are {', '.join(FLOORS)}."
        )
    if method not in METHODS:
        known = " or ".join(repr(m) for m in METHODS)
        raise DataError(
            f"The text of {name!r} was made by {method!r}, and only generated text is scored "
            f"(the method must be {known}; teacher-forced text is not)."
        )


def check_task(task: str, rows: Sequence[Row], name: str) -> None:
    """Refuse the rows of another task, as far as they can be told. Raises DataError."""
    for line, row in enumerate(rows, start=1):
        if row.get("task") not in (None, task):
            raise DataError(
                f"{name}, row {line}: this row is of the task {row['task']}, not {task}."
            )
    seems = _looks_like(rows)
    if seems != task and "" not in (seems, task):
        raise DataError(
            f"{name}, row 1 and most others look like the task {seems}, not {task}: "
            "give the file of this task, or name the task with --task."
        )


def describe_data(path: Path | str, n: int, split: str | None = None) -> dict[str, Any]:
    """`data` of scores.json: the file's name with its folder's, split, SHA-256 and rows."""
    path = Path(path).resolve()
    return {
        "name": f"{path.parent.name}/{path.name}" if path.parent.name else path.name,
        "split": split or guess_split(path),
        "sha256": file_sha256(path),
        "n": n,
    }


def guess_split(path: Path | str) -> str:
    """The split that a file's name tells, "unnamed" where it tells none: it may be any."""
    return named_split(path) or "unnamed"


def named_split(path: Path | str) -> str | None:
    """The split that a file is called by, None where its name tells none ("latest" tells none)."""
    stem = Path(path).stem.lower()
    if "train" in stem:
        return "train"
    if any(word in stem for word in ("valid", "dev")):
        return "validation"
    return "test" if re.search(r"(?<![a-z])test", stem) else None


def meta_path(path: Path | str) -> Path:
    """Where a predictions file's sidecar lies."""
    return Path(f"{path}.meta.json")


def read_meta(path: Path | str) -> dict[str, Any] | None:
    """The sidecar of a predictions file, None where there is none. Raises DataError."""
    path = meta_path(path)
    if not path.is_file():
        return None
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path.name} is not JSON: {error}.") from None
    if not isinstance(meta, dict):
        raise DataError(f"{path.name} must hold one JSON object.")
    for key in ("data", "systems"):
        if not isinstance(meta.get(key) or {}, dict):
            raise DataError(f"{path.name}: {key!r} must be a JSON object.")
    for name, system in (meta.get("systems") or {}).items():
        if not _says_how(system):
            raise DataError(
                f"{path.name}: {name!r} must be a JSON object with the text 'method' and, where it "
                "is known, the JSON object 'decoding'."
            )
    return meta


def _says_how(system: Any) -> bool:
    return (
        isinstance(system, dict)
        and isinstance(system.get("method"), (str, type(None)))
        and isinstance(system.get("decoding"), (dict, type(None)))
    )


def _objects(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder: name a file of rows.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} cannot be read as UTF-8 text.") from None
    # Not splitlines: a line separator inside a text is a character of that text.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError):
            raise DataError(f"{path.name}, row {line}: this is not JSON.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path.name}, row {line}: this is not a JSON object.")
        yield line, row


def _refuse_half_characters(where: str, row: Row) -> None:
    """JSON can name half of a character (a lone surrogate), and no UTF-8 file can hold it."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: a text holds half of a character (a lone surrogate).") from None


def _output(file: str, index: int, row: Row, name: str) -> str:
    text = row.get(name)
    if not isinstance(text, str):
        raise DataError(
            f"{file}, row {index + 1} (id {row['id']}): there is no output of {name!r}, and every "
            "system is scored on the same rows."
        )
    return text


def _one_task(file: str, asked: str | None, said: str | None) -> str:
    from summarizer.tasks import TASKS, get_task

    if asked and said and asked != said:
        raise DataError(f"{file} holds predictions of the task {said}, not {asked}.")
    task = asked or said
    if not task:
        raise DataError(f"{file} does not say its task: give --task ({', '.join(TASKS)}).")
    return get_task(task).name


_SPEAKERS = ("doctor:", "patient:", "guest_family:", "guest_clinician:", "[doctor]", "[patient]")


def _looks_like(rows: Sequence[Row]) -> str:
    """The task that most rows look like, "" where they look like none in particular."""
    spoken = sum(
        sum(line.strip().lower().startswith(_SPEAKERS) for line in row["input"].split("\n")) >= 2
        for row in rows
    )
    asked = sum(row["target"].rstrip().endswith("?") for row in rows)
    if spoken > 0.8 * len(rows):
        return "dialogue"
    if asked > 0.8 * len(rows):
        return "question"
    sections = sum(bool(row.get("section")) for row in rows)
    if len(rows) >= 5 and max(spoken, asked, sections) < 0.05 * len(rows):
        return "radiology"
    return ""


def _refuse_teacher_forcing(name: str, texts: Sequence[str], rows: Sequence[Row]) -> None:
    """Text written along the reference betrays itself: wrong in words, right in their number."""
    pairs = [(words(text), words(row["target"])) for text, row in zip(texts, rows, strict=True)]
    wrong = [(ours, theirs) for ours, theirs in pairs if ours != theirs and len(theirs) >= 5]
    if len(wrong) < 20:
        return
    same_length = sum(len(ours) == len(theirs) for ours, theirs in wrong)
    in_place = sum(
        sum(a == b for a, b in zip(ours, theirs, strict=False)) >= 0.5 * len(theirs)
        for ours, theirs in wrong
    )
    if same_length > 0.6 * len(wrong) and in_place > 0.6 * len(wrong):
        raise DataError(
            f"The text of {name!r} follows the references word for word in length "
            f"({same_length} of the {len(wrong)} outputs that differ from their reference): this is "
            "teacher-forced text, and only generated text is scored."
        )
