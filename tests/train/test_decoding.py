"""Decoding is chosen on the validation rows, and the engine then decodes so."""

from __future__ import annotations

import json
from pathlib import Path

from train.decoding import BANS, main


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
    best = max(tried, key=lambda one: one["rougeL"])
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


def test_a_folder_without_a_record_is_told(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path)]) == 1
    assert "run.json is missing" in capsys.readouterr().err
