"""How an adapter decodes: tried on its validation rows, the best written into its run record.

Run as:

    python -m train.decoding models/radiology

Every candidate generates from the same rows; the recipe's metric decides. First the ban on repeated
n-grams is chosen, and, where they are named, how many beams (--beams 1 2 4; 1 is greedy) and in
windows of how many words a longer text is read (--windows 0 30 40; 0 is whole; `summarizer.windows`),
all with the recipe's biases; then the bias on the end mark: what was learned from others' texts ends
too late or too early; then the bias towards what the text says next (`summarizer.copying`); then,
with beams, the exponent on a text's length (--penalties 0.5 1); and last, where shares are named
(--least 0.1), how many of a text's windows are never silent (`summarizer.silence`). Whether words and
numbers are held to real ones (`summarizer.lexicon`) is not chosen by the metric, which hardly sees
it: the recipe, or --lexicon, says so. Of those within `TIE` of the best, which so few rows cannot
tell apart, the plainest search with the strictest ban and the smallest biases is taken: its texts
run in loops least. Beams are tried where they are named alone: four take about twice as long on two
cores, and what they write reads better than the metric tells (train/README.md). What was tried, with
its scores, stands in run.json under `decoding_tried`; the engine reads `recipe.decoding` from there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.errors import RecipeError, UserError
from train.model import pinned
from train.recipe import Recipe
from train.selection import METRICS
from train.strict import build

BANS = (0, 3, 4, 6)  # no n-gram of so many tokens twice; 0 is no ban

# On the end mark, and towards what the text says next; none, and the recipe's, are tried as well, or
# the recipe's alone where no value is given.
BIASES = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)
COPYING = (0.5, 1.0, 1.5, 2.0)
TIE = 0.2  # points of the metric


def candidates(so_far: Any, beams: Sequence[int], bans: Sequence[int] = BANS) -> list[Any]:
    """The `Decoding`s to try, the plainest first."""
    return [
        replace(so_far, num_beams=width, no_repeat_ngram_size=ban)
        for width in beams
        for ban in bans
    ]


def chosen(tried: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The candidate that is taken of those tried, each with its `decoding` and its scores."""
    top = max(one[metric] for one in tried)

    def order(one: dict[str, Any]) -> tuple[float, ...]:
        decoding = one["decoding"]
        ban = decoding["no_repeat_ngram_size"] or math.inf
        # a record of before a setting was there has none of it
        biases = (abs(decoding.get(name, 0)) for name in ("end_bias", "copy_bias", "least_windows"))
        return decoding["num_beams"], ban, *biases, -one[metric]

    return min((one for one in tried if one[metric] >= top - TIE), key=order)


def choose(
    adapter: Path,
    beams: Sequence[int] = (1,),
    windows: Sequence[int] = (),
    bans: Sequence[int] = BANS,
    biases: Sequence[float] = BIASES,
    copying: Sequence[float] = COPYING,
    penalties: Sequence[float] = (),
    least: Sequence[float] = (),
    average: str | None = None,
    metric: str | None = None,
    max_rows: int | None = None,
    lexicon: bool | None = None,
) -> dict[str, Any]:
    """Try the candidates, write the best into run.json, return the record.

    Args:
        beams: 1 is greedy.
        windows: words of a window, 0 for none; none named: the recipe's.
        penalties: exponents on a beam's length, beside the recipe's.
        least: shares of a text's windows that speak at least (`summarizer.silence`), beside none.
        average: over "rows" or "sources", in place of the recipe's.
        metric: of the recipe's kinds, in place of the recipe's.
        max_rows: of validation, in place of the recipe's.
        lexicon: whether real words and the text's numbers and sides alone are written, in place of the
            recipe's.

    Raises:
        UserError: there is no run record, or its recipe has no validation rows.
    """
    from summarizer.generate import Engine
    from summarizer.tasks import Decoding
    from train.data import load_validation
    from train.selection import line, score, summarise

    path = adapter / "run.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: train the adapter with python -m train.run first.")
    record = json.loads(path.read_text(encoding="utf-8"))
    try:
        recipe = build(Recipe, record["recipe"])
    except (KeyError, RecipeError) as fault:
        raise UserError(f"{path} holds no recipe of this version: {fault}") from None
    most = max_rows or recipe.evaluation.max_rows
    rows = load_validation(replace(recipe, evaluation=replace(recipe.evaluation, max_rows=most)))
    engine = Engine.load(pinned(recipe), {recipe.task: str(adapter)})
    evaluation = replace(recipe.evaluation, average=average or recipe.evaluation.average)
    metric = metric or evaluation.metric
    if metric == "loss":  # text is compared here
        metric = "rougeL"
    told = Decoding.from_dict(record["recipe"]["decoding"])
    if lexicon is not None:
        told = replace(told, lexicon=lexicon)

    def tried_on(decoding: Decoding, words: int | None) -> dict[str, Any]:
        engine.set_windows(recipe.task, words)
        texts = [""] * len(rows.rows)
        pairs = engine.batch(
            recipe.task, rows.rows, decoding=decoding, batch_size=16, systems=["lora"]
        )
        for place, pair in pairs:
            texts[place] = pair.lora.text
        targets = [row["target"] for row in rows.rows]
        share = 100 * decoding.least_windows
        found = summarise(
            evaluation, [row.get("source", "") for row in rows.rows], score(targets, texts)
        )
        print(
            f"beams {decoding.num_beams}, no repeated {decoding.no_repeat_ngram_size or '-'}-gram, "
            f"end mark {decoding.end_bias:+g}, copying {decoding.copy_bias:+g}, "
            f"{f'length penalty {decoding.length_penalty:g}, ' if decoding.num_beams > 1 else ''}"
            f"{f'{share:g}% of windows never silent, ' if share else ''}"
            f"{'real words only, ' if decoding.lexicon else ''}"
            f"{'findings first, ' if decoding.flag else ''}"
            f"{f'windows of {words} words' if words else 'whole'}: "
            f"{metric} {found[metric]:.2f}; {line(found)}",
            flush=True,
        )
        return {"decoding": decoding.to_dict(), "window_words": words, **found}

    tried = [
        tried_on(decoding, words or None)
        for words in windows or (recipe.window_words,)
        for decoding in candidates(told, beams, bans)
    ]
    best = chosen(tried, metric)
    for name, values in (
        ("end_bias", biases),
        ("copy_bias", copying),
        ("length_penalty", penalties if best["decoding"]["num_beams"] > 1 else ()),
        ("least_windows", least),
    ):
        so_far = Decoding.from_dict(best["decoding"])
        none = set() if name == "length_penalty" else {0.0}
        others = {*none, *values} - {getattr(so_far, name)} if values else ()
        tried += [
            tried_on(replace(so_far, **{name: value}), best["window_words"])
            for value in sorted(others)
        ]
        best = chosen(tried, metric)
    if best["window_words"] != recipe.window_words:
        record.setdefault("window_words_trained", recipe.window_words)
    if recipe.policy.samples:  # what the run drew its texts with is part of what it learned from
        record.setdefault("drawn_with", record["recipe"]["decoding"])
    record["recipe"] |= {"decoding": best["decoding"], "window_words": best["window_words"]}
    record["decoding_tried"] = tried
    whole = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    new = path.with_suffix(".json.new")
    new.write_text(whole, encoding="utf-8")
    os.replace(new, path)
    read = f", windows of {best['window_words']} words" if best["window_words"] else ""
    print(f"chosen, by {metric} on validation: {best['decoding']}{read}")
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m train.decoding", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("adapter", type=Path, help="folder of a trained adapter")
    parser.add_argument(
        "--beams", type=int, nargs="+", default=[1], help="so many; 1 is greedy (default)"
    )
    parser.add_argument(
        "--windows",
        type=int,
        nargs="*",
        default=[],
        help="windows of so many words, 0 for none; default: the recipe's",
    )
    parser.add_argument(
        "--bans", type=int, nargs="*", default=BANS, help="on n-grams of so many tokens, 0 for none"
    )
    parser.add_argument(
        "--biases",
        type=float,
        nargs="*",
        default=BIASES,
        help="on the end mark, beside none; no value: the recipe's alone",
    )
    parser.add_argument(
        "--copying",
        type=float,
        nargs="*",
        default=COPYING,
        help="towards what follows in the text, beside none; no value: the recipe's alone",
    )
    parser.add_argument(
        "--penalties",
        type=float,
        nargs="*",
        default=[],
        help="with beams: exponents on a text's length, beside the recipe's",
    )
    parser.add_argument(
        "--least",
        type=float,
        nargs="*",
        default=[],
        help="shares of a text's windows that speak at least, beside none; no value: the recipe's",
    )
    parser.add_argument("--average", choices=["rows", "sources"], help="default: the recipe's")
    parser.add_argument("--metric", choices=METRICS, help="default: the recipe's")
    parser.add_argument("--max-rows", type=int, help="of validation; default: the recipe's")
    parser.add_argument(
        "--lexicon",
        action=argparse.BooleanOptionalAction,
        help="real words and the text's numbers and sides only (summarizer.lexicon); default: the recipe's",
    )
    options = parser.parse_args(arguments)
    try:
        choose(**vars(options))
    except (UserError, RuntimeError, ValueError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
