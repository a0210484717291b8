"""Decoding is chosen on the validation rows, and the engine then decodes so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from train.decoding import BANS, chosen, main


def test_the_best_is_written_into_the_record_and_used(train_now, tmp_path: Path, capfd) -> None:
    from summarizer.generate import Engine

    status, _, err = train_now(evaluation__metric="rougeL")
    assert status == 0, err
    adapter = tmp_path / "models" / "tiny"
    before = json.loads((adapter / "run.json").read_text())
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    assert main([str(adapter)]) == 0
    out = capfd.readouterr().out
    after = json.loads((adapter / "run.json").read_text())
    tried = after.pop("decoding_tried")
    assert [one["decoding"]["no_repeat_ngram_size"] for one in tried] == list(BANS)
    best = chosen(tried, "rougeL")
    assert after["recipe"]["decoding"] == best["decoding"]
    assert f"'no_repeat_ngram_size': {best['decoding']['no_repeat_ngram_size']}" in out
    assert best["decoding"]["max_new_tokens"] == before["recipe"]["decoding"]["max_new_tokens"]
    # nothing else changed
    after["recipe"]["decoding"] = before["recipe"]["decoding"]
    assert after == before
    assert (adapter / "adapter_model.safetensors").read_bytes() == weights
    engine = Engine.load(before["recipe"]["backbone"], {"radiology": str(adapter)})
    ban = engine.task("radiology").decoding.no_repeat_ngram_size
    assert ban == best["decoding"]["no_repeat_ngram_size"]


@pytest.mark.parametrize(
    ("scores", "taken"),
    [
        ({(1, 0): 20.0, (1, 3): 20.5, (1, 4): 20.6, (4, 3): 20.7}, (1, 3)),
        ({(1, 0): 20.0, (1, 3): 19.9}, (1, 3)),
        ({(1, 0): 20.0, (1, 3): 19.7}, (1, 0)),
        ({(1, 3): 20.0, (4, 3): 20.3}, (4, 3)),
    ],
)
def test_of_equals_the_plainest_search_with_the_strictest_ban_is_taken(scores, taken) -> None:
    tried = [
        {"decoding": {"num_beams": beams, "no_repeat_ngram_size": ban}, "rouge1": score}
        for (beams, ban), score in scores.items()
    ]
    best = chosen(tried, "rouge1")["decoding"]
    assert (best["num_beams"], best["no_repeat_ngram_size"]) == taken


def test_a_folder_without_a_record_is_told(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path)]) == 1
    assert "run.json is missing" in capsys.readouterr().err
