"""Scores an adapter, or predictions made elsewhere: tables with intervals, and scores.json.

Run as:
    python -m eval.run models/radiology --data test.jsonl --train train.jsonl
    python -m eval.run models/a models/b --data test.jsonl
    python -m eval.run --predictions runs/radiology.jsonl --json scores.json

An adapter's scores on the whole test split are written beside it. Its predictions are kept under
runs/eval, which is no part of the repository.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.predict import run_command
from eval.rows import DataError, named_split
from eval.source import add_source_options, predictions_of
from summarizer.tasks import Decoding

MOST_RESAMPLES = 1_000_000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m eval.run", description="Score adapters against their base and the floors."
    )
    add_source_options(parser)
    add_score_options(parser)
    parser.add_argument("--json", "--out", dest="out", metavar="OUT", help="scores.json to write")
    arguments = parser.parse_args(argv)
    return run_command("eval.run", lambda: _run(arguments))


def add_score_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument(
        "--bertscore",
        metavar="MODEL",
        nargs="?",
        const="",
        help="fetch BERTScore's encoder (default: roberta-large, where it is on this machine)",
    )


def check_options(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be scored with, before anything is read. Raises DataError."""
    if not 100 <= arguments.resamples <= MOST_RESAMPLES:
        raise DataError(
            f"--resamples must be from 100 to {MOST_RESAMPLES:,}, not {arguments.resamples}."
        )


def scores_of(arguments: argparse.Namespace, predictions: Any) -> tuple[dict[str, Any], list[str]]:
    """The scores that the options ask for, and notes on what is missing."""
    from eval import semantic
    from eval.scores import score

    model = arguments.bertscore or semantic.DEFAULT_MODEL
    missing = semantic.why_missing(model, fetch=arguments.bertscore is not None)
    scores = score(
        predictions,
        resamples=arguments.resamples,
        seed=arguments.seed,
        bertscore=None if missing else model,
    )
    if missing:
        scores["versions"]["bertscore"] = f"missing: {semantic.described(model)}, cannot be loaded"
    return scores, [missing] if missing else []


def _run(arguments: argparse.Namespace) -> None:
    from eval.tables import compact_json, scores_text

    check_options(arguments)
    if arguments.out and Path(arguments.out).is_dir():
        raise DataError(f"{arguments.out} is a folder: name the file to write with --json.")
    scores, notes = scores_of(arguments, predictions_of(arguments))
    print(scores_text(scores, notes))
    out = Path(arguments.out) if arguments.out else _beside_adapter(arguments, scores)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(compact_json(scores), encoding="utf-8")
        print(f"Scores: {out}", file=sys.stderr)


def _beside_adapter(arguments: argparse.Namespace, scores: Mapping[str, Any]) -> Path | None:
    """An adapter's own scores.json, for one adapter on all of a test split and nothing else.

    A file that neither its name nor --split calls a test split does not take their place.
    """
    from summarizer.backbone import resolve

    if arguments.predictions:
        return None
    split = arguments.split or named_split(arguments.data)
    whole_test = split == "test" and not arguments.protocol
    if len(arguments.adapters) != 1 or not whole_test or "lora" not in scores["systems"]:
        return None
    folder, revision = resolve(arguments.adapters[0].rpartition("=")[2], "adapter")
    if revision is not None:
        return None
    path = folder / "scores.json"
    other = _what_else(path, scores)
    if other is None:
        return path
    print(
        f"{path} holds the scores of this adapter {other} and stays as it is: --json FILE writes the "
        "new ones.",
        file=sys.stderr,
    )
    return None


def _what_else(path: Path, scores: Mapping[str, Any]) -> str | None:
    """What a scores file of the same weights was measured on or with; None where none is lost."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["adapter_sha256"] != scores.get("adapter_sha256"):
            return None
        if held["data"]["sha256"] != scores["data"].get("sha256"):
            return "on other rows"
        # A setting that came after the file was written is as it was without it.
        before = Decoding().to_dict() | held["decoding"]
        return "with another decoding" if before != scores["decoding"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


if __name__ == "__main__":
    sys.exit(main())
