"""Files of rows in, the same rows with both columns out; a killed run goes on where it stopped.

Finished batches are kept in a file beside the output, `OUT.partial`: a header that binds it to
the input's hash and the settings, then one line a batch. OUT itself appears whole, at the end.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from summarizer.tasks import Decoding, Task
from summarizer.text import InputError, check_input, decode

COLUMNS = ("base", "lora")
_HEAD = b'{"input_sha256": '  # what a file of finished batches begins with
# What the keys of its header are called, where they differ from those of another run.
_DIFFERENCES = {
    "requests_sha256": "another section",
    "versions": "another version of the software",
    **dict.fromkeys(("backbone_sha256", "backbone_revision"), "another backbone"),
    **dict.fromkeys(("adapter_sha256", "adapter_revision"), "another adapter"),
}


@dataclass(frozen=True)
class Row:
    """One row of the input: its line (from 1), what the engine is given, and how it was written."""

    line: int
    input: str
    section: str | None
    raw: str | list[str]  # the JSON object as it stands in the file, or the cells

    def request(self) -> dict[str, str | None]:
        return {"input": self.input, "section": self.section}


@dataclass(frozen=True)
class Table:
    """A file of rows. header and delimiter are those of a CSV file, None for JSON Lines."""

    rows: list[Row]
    sha256: str
    header: list[str] | None = None
    delimiter: str | None = None


@dataclass
class Report:
    """How a run went: rows in all, rows that an earlier run had done, lines whose end was cut, and
    lines of reports of which the findings alone were read."""

    rows: int
    resumed: int
    cut_lines: list[int] = field(default_factory=list)
    left_out_lines: list[int] = field(default_factory=list)


def read_table(path: Path, section: str | None = None) -> Table:
    """The rows of a JSON Lines or CSV file (by its name: .csv, .tsv; anything else is JSON Lines).

    Every row is checked before the first is summarised. `section` is for rows that name none.

    Raises:
        InputError: one sentence that names the line, for a row that cannot be summarised.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    try:
        text = decode(data) if data else ""
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if path.suffix.lower() in {".csv", ".tsv"}:
        header, delimiter, rows = _read_csv(path, text, section)
        table = Table(rows, digest, header, delimiter)
    else:
        table = Table(list(_read_jsonl(path, text, section)), digest)
    if not table.rows:
        raise InputError(f"{path} has no rows.")
    return table


def _read_jsonl(path: Path, text: str, section: str | None) -> Iterator[Row]:
    if text.lstrip()[:1] == "[":
        raise InputError(f"{path} is one JSON list: give one JSON object a line.")
    # Not splitlines(): JSON strings may hold other line separators as they are.
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line:
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{path}, line {number}: this is not JSON.") from None
        if not isinstance(values, dict):
            raise InputError(f"{path}, line {number}: a row must be a JSON object.")
        yield _row(path, number, values, section, line)


def _read_csv(path: Path, text: str, section: str | None) -> tuple[list[str], str, list[Row]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)  # spreadsheets of many countries write semicolons
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise InputError(f"{path}: two columns have the same name.")
        if header and "input" not in header:
            raise InputError(f"{path} has no column “input”: its columns are {', '.join(header)}.")
        rows = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, line {reader.line_num}: the row has {len(cells)} cells, the header "
                    f"{len(header)}."
                )
            values = dict(zip(header, cells, strict=True))
            rows.append(_row(path, reader.line_num, values, section, cells))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}.") from None
    return header, delimiter, rows


def _row(
    path: Path, line: int, values: dict[str, Any], section: str | None, raw: str | list[str]
) -> Row:
    where = f"{path}, line {line}"
    if "input" not in values:
        raise InputError(f"{where}: the row has no “input”.")
    if not isinstance(values["input"], str):
        raise InputError(f"{where}: “input” must be text.")
    named = values.get("section")
    if named is not None and not isinstance(named, str):
        raise InputError(f"{where}: “section” must be text.")
    for column in COLUMNS:
        if column in values:
            raise InputError(f"{where}: the row has a “{column}” already: rename or remove it.")
    try:
        check_input(values["input"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Row(line, values["input"], named or section, raw)


def check_target(source: Path, target: Path) -> None:
    """Refuse files that could not be used, before a model is loaded. Raises InputError."""
    if source.is_dir():
        raise InputError(f"{source} is a folder: name a file of rows.")
    if not source.is_file():
        if str(source) == "-":
            raise InputError("batch does not read stdin: save the rows to a file and name it.")
        raise InputError(f"There is no file {source}.")
    target = _resolved(target)
    if target.is_dir():
        raise InputError(f"{target} is a folder: name a file to write to.")
    if target.exists() and not target.is_file():
        raise InputError(f"{target} is no ordinary file: name a file to write to.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent} to write to.")
    if target.exists() and target.samefile(source):
        raise InputError("IN and OUT are the same file: name another OUT.")
    for beside in (_partial_of(target), _writing_of(target)):
        if beside.exists() and beside.samefile(source):
            raise InputError(f"{beside.name} is where unfinished work is kept: name another OUT.")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"The folder {target.parent} cannot be written to.")


def run_batch(
    engine: Any,
    task: Task,
    table: Table,
    target: Path,
    *,
    decoding: Decoding,
    batch_size: int,
    started: Callable[[int, int], None] = lambda done, rows: None,
    advanced: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Summarise every row of the table and write them to `target`, going on from a partial file.

    Args:
        engine: `summarizer.generate.Engine`, or one with the same face.
        started: called once with the rows done by an earlier run and the rows in all.
        advanced: called with the number of rows done since the last call.

    Raises:
        InputError, ModelError: one sentence. OSError: the output cannot be written.
    """
    target = _resolved(target)
    binding = {
        "input_sha256": table.sha256,
        # the rows' default section is part of what was asked
        "requests_sha256": _digest([row.request() for row in table.rows]),
        "decoding": decoding.to_dict(),
        "batch_size": batch_size,
        **engine.record(task.name),
    }
    with _Partial(_partial_of(target), binding) as partial:
        done = partial.done
        report = Report(len(table.rows), len(done))
        started(len(done), len(table.rows))
        left = [place for place in range(len(table.rows)) if place not in done]
        finished: dict[int, dict[str, Any]] = {}
        # Rows left are a tail of the same order, so they meet in the batches of an unbroken run.
        for index, pair in engine.batch(
            task.name,
            [table.rows[place].request() for place in left],
            decoding=decoding,
            batch_size=batch_size,
        ):
            unread = pair.cut.words_unread if pair.cut is not None else 0
            finished[left[index]] = {
                "base": pair.base.text, "lora": pair.lora.text, "words_unread": unread,
                "left_out": pair.left_out,
            }  # fmt: skip
            if len(finished) == batch_size or len(done) + len(finished) == len(table.rows):
                partial.add(finished)
                advanced(len(finished))
                finished = {}
        _write(table, done, target)
        for key, lines in (
            ("words_unread", report.cut_lines), ("left_out", report.left_out_lines)
        ):  # fmt: skip
            lines += [row.line for place, row in enumerate(table.rows) if done[place][key]]
        partial.remove()
    return report


def _differing(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """What two headers differ in, in words."""
    names = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    if "input_sha256" in names:
        return "other rows"
    words = [_DIFFERENCES.get(name, f"another {name.replace('_', ' ')}") for name in names]
    return ", ".join(dict.fromkeys(words))


class _Partial:
    """The file of finished batches. `done`: place of a row -> its results, on disk already."""

    def __init__(self, path: Path, binding: dict[str, Any]) -> None:
        self.path = path
        self.done: dict[int, dict[str, Any]] = {}
        self._binding = json.loads(json.dumps(binding))

    def __enter__(self) -> Self:
        self._file = self.path.open("a+b")
        try:
            self._lock()
            self._file.seek(0)
            good = self._read(self._file.read())
            self._file.truncate(good)  # a line that was cut off by a kill
            if not good:
                self._append(self._binding)
        except BaseException:
            self._file.close()
            raise
        return self

    def _lock(self) -> None:
        with contextlib.suppress(ImportError):  # not on Windows
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"Another run is writing {self.path} at this moment.") from None

    def _read(self, data: bytes) -> int:
        """Take up what is there; the number of bytes that are whole and belong to this run.

        Raises InputError for a file that is none of ours, or holds rows of another run.
        """
        good, bound = 0, True
        for number, line in enumerate(data.splitlines(keepends=True)):
            if number == 0 and not (line.startswith(_HEAD) or _HEAD.startswith(line)):
                raise InputError(f"{self.path} is in the way: move it, or name another OUT.")
            if not line.endswith(b"\n"):
                break
            try:
                value = json.loads(line)
            except ValueError:
                break
            if number == 0:
                header, bound = value, value == self._binding
            else:
                self.done.update({int(place): result for place, result in value.items()})
            good += len(line)
        if bound:
            return good
        if self.done:
            raise InputError(
                f"{self.path} holds {len(self.done):,} finished rows of a run with "
                f"{_differing(header, self._binding)}: give the same again, or remove that file to "
                "start over."
            )
        return 0

    def add(self, results: dict[int, dict[str, Any]]) -> None:
        """Keep a finished batch: once this returns, no kill loses it."""
        self._append(results)
        self.done.update(results)

    def _append(self, value: Any) -> None:
        # JSON escapes line ends, so a line is whole or recognisably cut.
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def remove(self) -> None:
        self.path.unlink()

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _write(table: Table, done: dict[int, dict[str, Any]], target: Path) -> None:
    """The rows as they came, with both columns added, in one step: no half file is ever seen."""
    unfinished = _writing_of(target)
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        if table.header is not None:
            writer = csv.writer(file, delimiter=table.delimiter or ",", lineterminator="\n")
            writer.writerow([*table.header, *COLUMNS])
            for place, row in enumerate(table.rows):
                writer.writerow([*row.raw, *(done[place][column] for column in COLUMNS)])
        else:
            for place, row in enumerate(table.rows):
                added = {column: done[place][column] for column in COLUMNS}
                # Spliced in, so that the row's own text stays as it is to the last digit.
                assert isinstance(row.raw, str)
                mine = json.dumps(added, ensure_ascii=False)[1:]
                file.write(f"{row.raw[:-1].rstrip()}, {mine}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(target)


def _resolved(target: Path) -> Path:
    """What a link leads to: that is written. Raises InputError for links in a circle."""
    try:
        return target.resolve()
    except (OSError, RuntimeError):  # RuntimeError until Python 3.13
        raise InputError(f"{target} is a link that leads nowhere: name another OUT.") from None


def _partial_of(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def _writing_of(target: Path) -> Path:
    return target.with_name(target.name + ".writing")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
