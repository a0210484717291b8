"""Writes predictions: what every system makes of the same rows, for `eval.run` to score.

Run as:
    python -m eval.predict models/radiology --data test.jsonl --out runs/radiology.jsonl
    python -m eval.predict base models/a models/b --data test.jsonl --out runs/two.jsonl
    python -m eval.predict base models/a bart=runs/bart floors --train train.jsonl --data ...

OUT is the rows with a text of each system (`base`, `lora`, ...), OUT.meta.json the exact settings,
weights' hashes and versions of each. Texts are kept as they come in OUT.part: a run that is
killed goes on where it stopped, and a system added later leaves the others as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eval.floors import FLOORS
from eval.rows import (
    DataError,
    Predictions,
    Row,
    check_name,
    check_task,
    describe_data,
    meta_path,
    named_split,
    read_meta,
    read_predictions,
    read_rows,
)
from eval.systems import EngineWriter, FloorWriter, ModelWriter, Text, Writer, kind_of, versions
from eval.workers import Workers, worth_it
from summarizer.backbone import file_sha256


@dataclass(frozen=True)
class Request:
    """What to predict with, and how."""

    systems: tuple[str, ...]  # base, floors, a floor's name, [NAME=]FOLDER
    task: str
    train: str | None = None
    backbone: str = "models/base"
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 32
    decoding: Mapping[str, Any] | None = None
    workers: int = 0  # processes; 0 is as many as serve a small model on this CPU


def predict(
    request: Request,
    data: Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    choose: Callable[[Sequence[Row]], list[int]] | None = None,
    progress: bool = False,
) -> Predictions:
    """Write the predictions file `out` and return what it holds.

    choose: which rows to predict (a protocol of `eval.protocols`), all where None. Raises
    DataError, ModelError, InputError: one sentence each.
    """
    from summarizer.tasks import get_task

    get_task(request.task)
    for given in (data, request.train):
        if given and Path(given).resolve() == Path(out).resolve():
            raise DataError(f"{out} is what is read: name another file to write with --out.")
    rows = read_rows(data)
    check_task(request.task, rows, Path(data).name)
    if choose is not None:
        rows = [rows[k] for k in choose(rows)]
    described = describe_data(data, len(rows), split)
    _check_inputs(rows, Path(data).name)
    train = read_rows(request.train) if request.train else []
    journal = Journal(Path(out), rows, described["sha256"])
    systems: dict[str, dict[str, Any]] = {}
    for make in _writers(request, rows, train):
        writer = make()
        try:
            systems |= writer.settings
            journal.start(writer.settings)
            _fill(writer, rows, journal, request.batch_size, progress)
        finally:
            if isinstance(writer, Workers):
                writer.close()
        del writer  # one model in memory at a time
    journal.finish(request.task, described, systems)
    return read_predictions(out)


def _check_inputs(rows: Sequence[Row], name: str) -> None:
    """Refuse an input that no model is given (binary, far too long), before any is loaded."""
    from summarizer.text import InputError, check_input

    for line, row in enumerate(rows, start=1):
        try:
            check_input(row["input"])
        except InputError as error:
            raise DataError(f"{name}, row {line} (id {row['id']}): {error}") from None


def _writers(
    request: Request, rows: Sequence[Row], train: Sequence[Row]
) -> Iterable[Callable[[], Writer]]:
    """What loads each writer, in the order in which the systems are to stand."""
    from eval import floors

    options = {"device": request.device, "dtype": request.dtype, "decoding": request.decoding}
    models, floor_names = _read_systems(request, floors.available(rows, train))
    adapters = [(name, source) for name, source, kind in models if kind == "adapter"]
    with_base = any(kind == "base" for _, _, kind in models)
    for place, (name, source) in enumerate(adapters):
        names = {"base": "base", "lora": name} if with_base and not place else {"lora": name}
        make = partial(
            EngineWriter, source, request.task, names, backbone=request.backbone, **options
        )
        yield lambda make=make: with_workers(make, request, len(rows))
    if with_base and not adapters:
        yield lambda: ModelWriter("base", request.backbone, request.task, **options)
    for name, source, kind in models:
        if kind == "model":
            yield lambda name=name, source=source: ModelWriter(
                name, source, request.task, **options
            )
    train_sha256 = file_sha256(request.train) if request.train else None
    for name in floor_names:
        yield lambda name=name: FloorWriter(name, train, train_sha256)


def with_workers(make: Callable[..., Writer], request: Request, rows: int) -> Writer:
    """The writer, in several processes where that is faster. Raises DataError, ModelError."""
    count = request.workers or worth_it(request.backbone, request.device, rows)
    return Workers(make, count) if count > 1 else make()


def _read_systems(
    request: Request, floors_available: Sequence[str]
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(name, source, kind) of each model asked for, and the floors."""
    models: list[tuple[str, str, str]] = []
    floor_names: list[str] = []
    for given in request.systems:
        name, _, source = given.rpartition("=")
        if source == "base":
            models.append(("base", request.backbone, "base"))
        elif source == "floors":
            floor_names += floors_available
        elif source in FLOORS:
            floor_names.append(source)
        else:
            models.append((name, source, kind_of(source)))
    lone = sum(kind == "adapter" for _, _, kind in models) == 1
    named = [
        (name or ("lora" if lone and kind == "adapter" else Path(source).name), source, kind)
        for name, source, kind in models
    ]
    names = [name for name, _, _ in named] + floor_names
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"Two systems are called {name!r}: name them, as in NAME={name}.")
        check_name(name)
    for name, _, _ in named:
        if name in FLOORS:
            raise DataError(f"A model cannot be called {name!r}: that is a floor.")
    return named, floor_names


def _fill(
    writer: Writer, rows: Sequence[Row], journal: Journal, batch_size: int, progress: bool
) -> None:
    """Let a writer write what the journal lacks of its systems."""
    missing = [name for name in writer.settings if journal.missing(name)]
    if not missing:
        return
    places = sorted({place for name in missing for place in journal.missing(name)})
    generated = any(writer.settings[name]["method"] == "generate" for name in missing)
    bar = _bar(len(places), ", ".join(missing)) if progress and generated else None
    try:
        for batch in writer.write([rows[k] for k in places], missing, batch_size):
            journal.add([(places[index], texts) for index, texts in batch])
            if bar:
                bar.update(len(batch))
    finally:
        if bar:
            bar.close()
    for name in missing:
        if journal.missing(name):
            raise DataError(f"{name} wrote nothing for row {journal.missing(name)[0] + 1}.")


def _bar(total: int, what: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit="row", file=sys.stderr)


class Journal:
    """The texts written so far, by system and row, kept on disk batch by batch.

    A batch is one line, written whole or not at all, so that a run that goes on makes the same
    batches as one that was never stopped. Texts count only for the same rows and settings.
    """

    def __init__(self, out: Path, rows: Sequence[Row], data_sha256: str) -> None:
        self._out = out
        self._part = Path(f"{out}.part")
        self._rows = rows
        ids = [row["id"] for row in rows]
        self._key = {"data_sha256": data_sha256, "ids": ids}
        self._texts: dict[str, dict[int, Text]] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"The folder {out.parent} cannot be made: {error.strerror}.") from None
        if out.is_dir():
            raise DataError(f"{out} is a folder: name the file to write with --out.")
        known = meta_path(out).is_file() or self._part.is_file()
        if out.is_file() and out.stat().st_size and not known:
            raise DataError(
                f"{out} is there already and holds no predictions ({meta_path(out).name} is "
                "missing): it is not overwritten, so name another file with --out."
            )
        self._recall()

    def start(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Begin or go on with systems; texts of a system with other settings are dropped."""
        for name, wanted in settings.items():
            if self._settings.get(name) != wanted:
                self._settings[name] = dict(wanted)
                self._texts[name] = {}
            self._write({"system": name, "settings": wanted})

    def missing(self, name: str) -> list[int]:
        """Places of the rows that this system has not written."""
        return [k for k in range(len(self._rows)) if k not in self._texts[name]]

    def add(self, batch: Sequence[tuple[int, Mapping[str, Text]]]) -> None:
        """Keep a batch's texts."""
        for place, texts in batch:
            for name, text in texts.items():
                self._texts[name][place] = text
        self._write(
            {"texts": [[p, {n: asdict(t) for n, t in texts.items()}] for p, texts in batch]}
        )

    def finish(
        self, task: str, data: Mapping[str, Any], systems: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Write the predictions and their sidecar in the rows' order, and drop the journal."""
        columns = {name: self._texts[name] for name in systems}
        lines = [
            _line(row, {n: c[k] for n, c in columns.items()}) for k, row in enumerate(self._rows)
        ]
        meta = {"task": task, "data": data, "systems": systems, "versions": versions()}
        _replace(self._out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        _replace(meta_path(self._out), json.dumps(meta, ensure_ascii=False, indent=1) + "\n")
        self._part.unlink(missing_ok=True)

    def _recall(self) -> None:
        """Take up a finished file and a journal, each if it is of the same rows."""
        meta = read_meta(self._out) if self._out.is_file() else None
        if meta and (meta.get("data") or {}).get("sha256") == self._key["data_sha256"]:
            self._recall_finished(meta)
        if self._part.is_file():
            self._recall_part()
        else:
            self._write({"key": self._key})

    def _recall_finished(self, meta: Mapping[str, Any]) -> None:
        kept = read_rows(self._out)
        if [row["id"] for row in kept] != self._key["ids"]:
            return
        for name, settings in (meta.get("systems") or {}).items():
            self._settings[name] = settings
            self._texts[name] = {
                k: Text(
                    row[name],
                    (row.get("finish") or {}).get(name, "end"),
                    int(row.get("words_unread") or 0),
                )
                for k, row in enumerate(kept)
                if isinstance(row.get(name), str)
            }

    def _recall_part(self) -> None:
        lines = list(_whole_lines(self._part))
        if not lines or lines[0].get("key") != self._key:
            self._part.unlink()
            self._write({"key": self._key})
            return
        for line in lines[1:]:
            if "system" in line:
                if self._settings.get(line["system"]) != line["settings"]:
                    self._settings[line["system"]] = line["settings"]
                    self._texts[line["system"]] = {}
            else:
                for place, texts in line["texts"]:
                    for name, text in texts.items():
                        self._texts[name][place] = Text(**text)

    def _write(self, line: Mapping[str, Any]) -> None:
        # One call of write and a line break before, not after: half a line cannot spoil the next.
        with self._part.open("ab") as file:
            file.write(b"\n" + json.dumps(line, ensure_ascii=False).encode())
            file.flush()
            os.fsync(file.fileno())


def _whole_lines(path: Path) -> Iterable[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        try:
            found = json.loads(line)
        except ValueError:  # empty, or cut off when the run was killed
            continue
        if isinstance(found, dict) and found.keys() & {"key", "system", "texts"}:
            yield found


def _line(row: Row, texts: Mapping[str, Text]) -> Row:
    line = row | {name: text.text for name, text in texts.items()}
    line["finish"] = {name: text.finish for name, text in texts.items()}
    unread = max((text.unread for text in texts.values()), default=0)
    return line | ({"words_unread": unread} if unread else {})


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = Path(f"{path}.new")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


# --- the command line ----------------------------------------------------------------------------


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options that mean the same in every command that generates."""
    parser.add_argument("--task", help="radiology, dialogue or question (default: the adapter's)")
    parser.add_argument("--train", metavar="FILE", help="training set, for the floors that need it")
    parser.add_argument("--backbone", default="models/base", help="default: %(default)s")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="at most; default: %(default)s"
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes; default: as many as help"
    )
    parser.add_argument("--num-beams", type=int, metavar="N", help="default: the adapter's")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="default: the adapter's")
    parser.add_argument("--length-penalty", type=float, metavar="X", help="default: the adapter's")
    parser.add_argument(
        "--no-repeat-ngram-size", type=int, metavar="N", help="default: the adapter's"
    )
    parser.add_argument(
        "--end-bias",
        type=float,
        metavar="X",
        help="on the end mark's logit; default: the adapter's",
    )
    parser.add_argument(
        "--copy-bias",
        type=float,
        metavar="X",
        help="on what follows in the text; default: the adapter's",
    )
    parser.add_argument(
        "--least-windows",
        type=float,
        metavar="X",
        help="share of a text's windows that speak at least; default: the adapter's",
    )
    parser.add_argument(
        "--lexicon",
        action=argparse.BooleanOptionalAction,
        help="only real words and the text's numbers and sides; default: the adapter's",
    )
    parser.add_argument(
        "--flag",
        action=argparse.BooleanOptionalAction,
        help="no denial first where a text is flagged as abnormal; default: the adapter's",
    )


def _train_beside(data: str, systems: Sequence[str]) -> str | None:
    """The training set that stands beside the rows, where floors may need one."""
    if "floors" not in systems or not Path(data).name or named_split(data) == "train":
        return None
    train = Path(data).with_name("train.jsonl")
    return str(train) if train.is_file() else None


def floors_note(request: Request) -> str:
    """What the floors were made with, or which of them were left out; empty without floors."""
    if "floors" not in request.systems:
        return ""
    if request.train:
        return f"Training set of the floors: {request.train}"
    needing = ", ".join(name for name, floor in FLOORS.items() if floor.needs_train)
    return f"Without --train FILE these floors are left out: {needing}."


def request_of(arguments: argparse.Namespace, systems: Sequence[str]) -> Request:
    """The request that the options make. Raises DataError."""
    if arguments.batch_size < 1:
        raise DataError(f"--batch-size must be at least 1, not {arguments.batch_size}.")
    if not 0 <= arguments.workers <= 64:
        raise DataError(f"--workers must be from 0 to 64, not {arguments.workers}.")
    names = (
        *("num_beams", "max_new_tokens", "length_penalty", "no_repeat_ngram_size"),
        *("end_bias", "copy_bias", "lexicon", "flag", "least_windows"),
    )
    given = {name: getattr(arguments, name) for name in names}
    return Request(
        systems=tuple(systems),
        task=arguments.task or task_of(systems),
        train=arguments.train or _train_beside(arguments.data, systems),
        backbone=arguments.backbone,
        device=arguments.device,
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        decoding={name: value for name, value in given.items() if value is not None},
        workers=arguments.workers,
    )


def task_of(systems: Sequence[str]) -> str:
    """The task that the adapters say they are for: their run record, else their folder's name."""
    from summarizer.backbone import ROOT
    from summarizer.tasks import TASKS

    for system in systems:
        source = system.rpartition("=")[2]
        for folder in (Path(source), ROOT / source):
            record = folder / "run.json"
            if record.is_file():
                try:
                    task = (json.loads(record.read_text()).get("recipe") or {}).get("task")
                except (ValueError, AttributeError):
                    raise DataError(f"{record} is not a run record.") from None
                if task in TASKS:
                    return task
        if Path(source).name in TASKS:
            return Path(source).name
    for system in systems:
        if system not in ("base", "floors", *FLOORS):
            kind_of(system.rpartition("=")[2])  # a folder that is not there is told as that
    raise DataError(f"Which task is this? Give --task ({', '.join(TASKS)}).")


def faults() -> tuple[type[Exception], ...]:
    """What the commands answer with one line: bad rows, models, inputs and settings."""
    from summarizer.backbone import ModelError
    from summarizer.tasks import UnknownTask
    from summarizer.text import InputError

    return (DataError, ModelError, InputError, UnknownTask, ValueError, OSError)


def run_command(name: str, main: Callable[[], None]) -> int:
    """Run a command's body: 0, or 1 with one line on stderr, or 130 where it was interrupted."""
    try:
        main()
    except KeyboardInterrupt:
        print(f"\n{name}: stopped; start it again to go on.", file=sys.stderr)
        return 130
    except faults() as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m eval.predict", description="Write predictions of any number of systems."
    )
    parser.add_argument(
        "systems",
        nargs="+",
        metavar="SYSTEM",
        help="base, floors, one floor's name, or the folder of an adapter or a fine-tuned model, "
        "NAME=FOLDER to name it; an adapter alone brings base",
    )
    parser.add_argument("--data", required=True, metavar="FILE", help="rows, JSON Lines")
    parser.add_argument("--out", required=True, metavar="FILE", help="predictions to write")
    parser.add_argument("--split", choices=("test", "validation", "train"))
    add_model_options(parser)
    arguments = parser.parse_args(argv)

    def body() -> None:
        systems = arguments.systems
        if len(systems) == 1 and systems[0] not in ("base", "floors") and _is_adapter(systems[0]):
            systems = ["base", *systems]
        request = request_of(arguments, systems)
        done = predict(request, arguments.data, arguments.out, split=arguments.split, progress=True)
        for note in filter(None, (floors_note(request), *done.empty_outputs())):
            print(note, file=sys.stderr)
        print(f"{len(done.rows)} rows, {', '.join(done.outputs)}: {arguments.out}")

    return run_command("eval.predict", body)


def _is_adapter(system: str) -> bool:
    return system not in FLOORS and kind_of(system.rpartition("=")[2]) == "adapter"


if __name__ == "__main__":
    sys.exit(main())
