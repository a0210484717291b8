"""Where a command's predictions come from: adapters with --data, or a file of predictions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.predict import add_model_options, floors_note, predict, request_of
from eval.protocols import PROTOCOLS
from eval.rows import DataError, Predictions, Row, guess_split, read_predictions

# No part of the repository: data sets are not ours to give away.
PREDICTIONS_FOLDER = Path("runs/eval")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that reads predictions."""
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER", help="folder, or NAME=FOLDER")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="FILE", help="rows to predict, JSON Lines")
    source.add_argument("--predictions", metavar="FILE", help="predictions made before")
    parser.add_argument("--split", choices=("test", "validation", "train"), help="what FILE is")
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), help="take a sample, seeded")
    parser.add_argument("--seed", type=int, default=0, help="of sample, intervals and tests")
    parser.add_argument("--systems", metavar="A,B", help="fields of --predictions that are outputs")
    parser.add_argument("--generated-by", metavar="TEXT", help="what wrote --predictions")
    parser.add_argument(
        "--extract", action="store_true", help="take the impression out of each chat answer"
    )
    parser.add_argument("--no-floors", action="store_true", help="leave the trivial methods out")
    add_model_options(parser)


def predictions_of(arguments: argparse.Namespace) -> Predictions:
    """The predictions that the options name, made where need be. Raises DataError, ModelError."""
    if arguments.seed < 0:
        raise DataError(f"--seed must be at least 0, not {arguments.seed}.")
    if arguments.predictions:
        found = _read(arguments)
    else:
        if not arguments.adapters:
            raise DataError("Name the adapter to score, as in models/radiology.")
        found = _predicted(arguments)
    if arguments.extract:
        found = _extracted(found)
    for note in found.empty_outputs():
        print(note, file=sys.stderr)
    return found


def _read(arguments: argparse.Namespace) -> Predictions:
    if arguments.adapters:
        raise DataError("Give adapters with --data, or --predictions, not both.")
    names = [n.strip() for n in (arguments.systems or "").split(",") if n.strip()]
    found = read_predictions(
        arguments.predictions,
        task=arguments.task,
        systems=names,
        generated_by=arguments.generated_by,
    )
    choose = _chooser(arguments)
    if choose:
        found = found.take(choose(found.rows))
        found.data["n"] = len(found.rows)
        _name_sample(arguments, found.data)
    return found


def _predicted(arguments: argparse.Namespace) -> Predictions:
    """Generate, or take up what an earlier run of the same settings has generated."""
    systems = ["base", *arguments.adapters, *([] if arguments.no_floors else ["floors"])]
    request = request_of(arguments, systems)
    parts = [request.task, *(Path(a.rpartition("=")[2]).name for a in arguments.adapters)]
    parts += [Path(arguments.data).parent.name, Path(arguments.data).stem]
    if arguments.protocol:
        parts.append(f"{arguments.protocol}-{arguments.seed}")
    out = PREDICTIONS_FOLDER / ("-".join(dict.fromkeys(p for p in parts if p)) + ".jsonl")
    found = predict(
        request,
        arguments.data,
        out,
        split=arguments.split or guess_split(arguments.data),
        choose=_chooser(arguments),
        progress=True,
    )
    for note in filter(None, (floors_note(request), f"Predictions: {out}")):
        print(note, file=sys.stderr)
    if arguments.protocol:
        _name_sample(arguments, found.data)
    return found


def _chooser(arguments: argparse.Namespace) -> Callable[[Sequence[Row]], list[int]] | None:
    if not arguments.protocol:
        return None
    protocol = PROTOCOLS[arguments.protocol]
    return lambda rows: protocol.choose(rows, arguments.seed)


def _name_sample(arguments: argparse.Namespace, data: dict[str, Any]) -> None:
    data["name"] += f" ({arguments.protocol}, seed {arguments.seed})"


def _extracted(predictions: Predictions) -> Predictions:
    """The impressions found in the answers; an answer without one counts as empty."""
    from eval.extract import extract

    outputs, failed = {}, {}
    for name, texts in predictions.outputs.items():
        if predictions.systems[name]["method"] != "generate":
            outputs[name], failed[name] = texts, [False] * len(texts)
            continue
        found = [
            extract(text, row["input"]) for text, row in zip(texts, predictions.rows, strict=True)
        ]
        outputs[name] = [text or "" for text in found]
        failed[name] = [text is None for text in found]
        if any(failed[name]):
            print(
                f"{name}: no impression could be found in {sum(failed[name])} of {len(texts)} "
                "answers; they score 0.",
                file=sys.stderr,
            )
    return Predictions(
        predictions.task,
        predictions.rows,
        outputs,
        predictions.systems,
        predictions.data,
        predictions.extras | {"not_extracted": failed},
    )
