"""Scores an adapter, or predictions made elsewhere: tables with intervals, and scores.json.

Run as:
    python -m eval.run models/radiology --data test.jsonl --train train.jsonl
    python -m eval.run models/a models/b --data test.jsonl
    python -m eval.run --predictions runs/radiology.jsonl --json scores.json

An adapter's scores on the whole test split are written beside it. Its predictions are kept under
runs/eval, which is no part of the repository: data sets are not ours to give away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.predict import add_model_options, predict, request_of, run_command
from eval.rows import DataError, Predictions, guess_split, read_predictions

PREDICTIONS_FOLDER = Path("runs/eval")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    return run_command("eval.run", lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    from eval.protocols import PROTOCOLS

    parser = argparse.ArgumentParser(
        prog="python -m eval.run", description="Score adapters against their base and the floors."
    )
    parser.add_argument("adapters", nargs="*", metavar="ADAPTER", help="folder, or NAME=FOLDER")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="FILE", help="rows to predict and score, JSON Lines")
    source.add_argument("--predictions", metavar="FILE", help="predictions to score")
    parser.add_argument("--json", "--out", dest="out", metavar="OUT", help="scores.json to write")
    parser.add_argument("--split", choices=("test", "validation", "train"), help="what FILE is")
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), help="score a sample, seeded")
    parser.add_argument("--seed", type=int, default=0, help="of sample, intervals and tests")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--systems", metavar="A,B", help="fields of --predictions that are outputs")
    parser.add_argument("--generated-by", metavar="TEXT", help="what wrote --predictions")
    parser.add_argument(
        "--extract", action="store_true", help="score the impression found in each chat answer"
    )
    parser.add_argument(
        "--bertscore",
        metavar="MODEL",
        nargs="?",
        const="",
        help="fetch BERTScore's encoder (default: roberta-large, where it is on this machine)",
    )
    parser.add_argument("--no-floors", action="store_true", help="leave the trivial methods out")
    add_model_options(parser)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    from eval import semantic
    from eval.scores import score
    from eval.tables import scores_text

    if arguments.resamples < 100:
        raise DataError(f"--resamples must be at least 100, not {arguments.resamples}.")
    predictions = _predictions(arguments)
    if arguments.extract:
        predictions = _extracted(predictions)
    for note in predictions.empty_outputs():
        print(note, file=sys.stderr)
    model = arguments.bertscore or semantic.DEFAULT_MODEL
    missing = semantic.why_missing(model, fetch=arguments.bertscore is not None)
    scores = score(
        predictions,
        resamples=arguments.resamples,
        seed=arguments.seed,
        bertscore=None if missing else model,
    )
    print(scores_text(scores, notes=[missing] if missing else []))
    _write(arguments, scores)


def _predictions(arguments: argparse.Namespace) -> Predictions:
    if arguments.predictions:
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
        return _sampled(arguments, found, choose(found.rows)) if choose else found
    if not arguments.adapters:
        raise DataError("Name the adapter to score, as in models/radiology.")
    return _predicted(arguments)


def _predicted(arguments: argparse.Namespace) -> Predictions:
    """Generate, or take up what an earlier run of the same settings has generated."""
    split = arguments.split or guess_split(arguments.data)
    systems = ["base", *arguments.adapters, *([] if arguments.no_floors else ["floors"])]
    request = request_of(arguments, systems)
    parts = [request.task, *(Path(a.rpartition("=")[2]).name for a in arguments.adapters)]
    parts += [Path(arguments.data).parent.name, Path(arguments.data).stem]
    if arguments.protocol:
        parts.append(f"{arguments.protocol}-{arguments.seed}")
    out = PREDICTIONS_FOLDER / ("-".join(dict.fromkeys(p for p in parts if p)) + ".jsonl")
    found = predict(
        request, arguments.data, out, split=split, choose=_chooser(arguments), progress=True
    )
    print(f"Predictions: {out}", file=sys.stderr)
    if arguments.protocol:
        _name_sample(arguments, found.data)
    return found


def _chooser(arguments: argparse.Namespace):
    from eval.protocols import PROTOCOLS

    if not arguments.protocol:
        return None
    protocol = PROTOCOLS[arguments.protocol]
    return lambda rows: protocol.choose(rows, arguments.seed)


def _sampled(
    arguments: argparse.Namespace, found: Predictions, which: Sequence[int]
) -> Predictions:
    taken = found.take(which)
    taken.data["n"] = len(which)
    _name_sample(arguments, taken.data)
    return taken


def _name_sample(arguments: argparse.Namespace, data: dict[str, Any]) -> None:
    data["name"] += f" ({arguments.protocol}, seed {arguments.seed})"


def _extracted(predictions: Predictions) -> Predictions:
    """The impressions found in the answers; an answer without one counts as empty."""
    from eval.extract import extract

    outputs, failed = {}, {}
    for name, texts in predictions.outputs.items():
        if predictions.systems[name]["method"] != "generate":
            outputs[name] = texts
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


def _write(arguments: argparse.Namespace, scores: Mapping[str, Any]) -> None:
    out = Path(arguments.out) if arguments.out else _beside_adapter(arguments, scores)
    if out is None:
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(scores_json(scores), encoding="utf-8")
    print(f"Scores: {out}", file=sys.stderr)


def _beside_adapter(arguments: argparse.Namespace, scores: Mapping[str, Any]) -> Path | None:
    """An adapter's own scores.json, for one adapter on all of a test split and nothing else."""
    from summarizer.backbone import resolve

    whole_test = scores["data"]["split"] == "test" and not arguments.protocol
    if len(arguments.adapters) != 1 or not whole_test or "lora" not in scores["systems"]:
        return None
    folder, revision = resolve(arguments.adapters[0].rpartition("=")[2], "adapter")
    return folder / "scores.json" if revision is None else None


def scores_json(scores: Mapping[str, Any]) -> str:
    """scores.json as text: one score a line, so that a change of one is seen as one."""
    from eval.tables import compact_json

    return compact_json(scores)


if __name__ == "__main__":
    sys.exit(main())
