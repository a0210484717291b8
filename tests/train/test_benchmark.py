"""The benchmark runs anywhere; without a GPU it says that its figures are of no GPU."""

from __future__ import annotations

import json

import pytest

from train.benchmark import SHAPES, main
from train.recipe import load_recipe


@pytest.mark.parametrize("shape", ["t5-small", "phi-3-mini"])
def test_both_systems_are_timed_on_the_same_rows(tmp_path, capsys, shape: str) -> None:
    out = tmp_path / "figures.json"
    assert main([shape, "--steps", "1", "--tiny", "--out", str(out)]) == 0
    figures = json.loads(out.read_text())
    seeds, ours = (figures["shapes"][shape][system] for system in ("seeds", "ours"))
    assert figures["tiny"] is True and "say nothing of a GPU" in capsys.readouterr().out
    for timing in (seeds, ours):
        assert timing["tokens_per_second"] > 0 and 0 <= timing["padding"] < 1
        assert timing["seconds_a_step"] > 0
    ratio = ours["tokens_per_second"] / seeds["tokens_per_second"]
    assert figures["shapes"][shape]["ratio"] == pytest.approx(ratio)
    if shape == "t5-small":  # the seed pads every row to 512
        assert seeds["padding"] > 0.7


def test_every_shape_is_a_backbone_of_two_recipes() -> None:
    for bench in SHAPES.values():
        seed, tuned = load_recipe(bench.seed), load_recipe(bench.tuned, bench.ours)
        assert seed.backbone == tuned.backbone


@pytest.mark.parametrize(
    ("arguments", "words"), [(["gpt-9"], "no shape"), (["--steps", "0"], "--steps")]
)
def test_bad_input_is_one_sentence(capsys, arguments, words) -> None:
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and words in err and err.count("\n") == 1
