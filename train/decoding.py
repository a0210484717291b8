"""How an adapter decodes: tried on its validation rows, the best written into its run record.

Run as:

    python -m train.decoding models/radiology

Every candidate generates from the same rows; the recipe's metric decides. Of those within `TIE` of
the best, which so few rows cannot tell apart, the plainest search with the strictest ban is taken:
its texts run in loops least. Beams are not among the candidates by default: the
page shows text token by token, and four beams take several times as long on two cores (--beams 4
tries them all the same). What was tried, with its scores, stands in run.json under
`decoding_tried`; the engine reads `recipe.decoding` from there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.errors import RecipeError, UserError
from train.model import pinned
from train.recipe import Recipe
from train.strict import build

BANS = (0, 3, 4, 6)  # no n-gram of so many tokens twice; 0 is no ban

TIE = 0.2  # points of the metric


def candidates(greedy: Any, beams: Sequence[int]) -> list[Any]:
    """The `Decoding`s to try, the plainest first."""
    return [
        replace(greedy, num_beams=width, no_repeat_ngram_size=ban)
        for width in (1, *beams)
        for ban in BANS
    ]


def chosen(tried: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The candidate that is taken of those tried, each with its `decoding` and its scores."""
    top = max(one[metric] for one in tried)

    def order(one: dict[str, Any]) -> tuple[int, int]:
        ban = one["decoding"]["no_repeat_ngram_size"]
        return one["decoding"]["num_beams"], ban or max(BANS) + 1

    return min((one for one in tried if one[metric] >= top - TIE), key=order)


def choose(adapter: Path, beams: Sequence[int] = ()) -> dict[str, Any]:
    """Try the candidates, write the best into run.json, return the record.

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
    rows = load_validation(recipe)
    engine = Engine.load(pinned(recipe), {recipe.task: str(adapter)})
    evaluation = recipe.evaluation
    # text is compared here, so a recipe that goes by the loss is taken at ROUGE-L
    metric = "rougeL" if evaluation.metric == "loss" else evaluation.metric
    greedy = Decoding.from_dict(
        {**record["recipe"]["decoding"], "num_beams": 1, "no_repeat_ngram_size": 0}
    )
    tried: list[dict[str, Any]] = []
    for decoding in candidates(greedy, beams):
        texts = [""] * len(rows.rows)
        pairs = engine.batch(
            recipe.task, rows.rows, decoding=decoding, batch_size=16, systems=["lora"]
        )
        for place, pair in pairs:
            texts[place] = pair.lora.text
        targets = [row["target"] for row in rows.rows]
        found = summarise(
            evaluation, [row.get("source", "") for row in rows.rows], score(targets, texts)
        )
        tried.append({"decoding": decoding.to_dict(), **found})
        print(
            f"beams {decoding.num_beams}, no repeated {decoding.no_repeat_ngram_size or '-'}-gram: "
            f"{metric} {found[metric]:.2f}; {line(found)}",
            flush=True,
        )
    best = chosen(tried, metric)
    record["recipe"]["decoding"] = best["decoding"]
    record["decoding_tried"] = tried
    whole = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    new = path.with_suffix(".json.new")
    new.write_text(whole, encoding="utf-8")
    os.replace(new, path)
    print(f"chosen, by {metric} on validation: {best['decoding']}")
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m train.decoding", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("adapter", type=Path, help="folder of a trained adapter")
    parser.add_argument("--beams", type=int, nargs="*", default=[], help="also so many beams")
    options = parser.parse_args(arguments)
    try:
        choose(options.adapter, options.beams)
    except (UserError, RuntimeError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
