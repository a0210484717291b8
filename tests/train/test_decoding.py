"""Decoding is chosen on the validation rows, and the engine then decodes so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from train.decoding import BANS, BIASES, COPYING, chosen, main


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
    first = tried[: len(BANS)]
    assert [one["decoding"]["no_repeat_ngram_size"] for one in first] == list(BANS)
    assert {one["decoding"]["end_bias"] for one in first} == {0.0}
    ban = chosen(first, "rougeL")["decoding"]["no_repeat_ngram_size"]
    then = [one["decoding"] for one in tried[len(BANS) :]]
    assert {one["no_repeat_ngram_size"] for one in then} == {ban}
    ends, copies = then[: len(BIASES)], then[len(BIASES) :]
    assert [one["end_bias"] for one in ends] == list(BIASES)
    assert {one["copy_bias"] for one in ends} == {0.0}
    assert [one["copy_bias"] for one in copies] == list(COPYING)
    end = chosen(tried[: len(BANS) + len(BIASES)], "rougeL")["decoding"]["end_bias"]
    assert {one["end_bias"] for one in copies} == {end}
    best = chosen(tried, "rougeL")
    assert after["recipe"]["decoding"] == best["decoding"]
    assert f"'no_repeat_ngram_size': {best['decoding']['no_repeat_ngram_size']}" in out
    assert best["decoding"]["max_new_tokens"] == before["recipe"]["decoding"]["max_new_tokens"]
    assert "drawn_with" not in after  # no texts were drawn
    # nothing else changed
    after["recipe"]["decoding"] = before["recipe"]["decoding"]
    assert after == before
    assert (adapter / "adapter_model.safetensors").read_bytes() == weights
    engine = Engine.load(before["recipe"]["backbone"], {"radiology": str(adapter)})
    assert engine.task("radiology").decoding.to_dict() == best["decoding"]


def test_what_texts_were_drawn_with_is_kept(train_now, tmp_path: Path) -> None:
    drawing = {"policy__samples": 2, "training__dropout": 0.0, "training__max_steps": 1}
    assert train_now(decoding__copy_bias=0.75, evaluation__metric="rougeL", **drawing)[0] == 0
    adapter = tmp_path / "models" / "tiny"
    for copying in ("1", "2"):  # asked again, it is still the run's own
        assert main([str(adapter), "--bans", "3", "--biases", "--copying", copying]) == 0
        record = json.loads((adapter / "run.json").read_text())
        assert record["drawn_with"]["copy_bias"] == 0.75
        assert record["recipe"]["decoding"]["copy_bias"] in (0, 0.75, float(copying))


def test_windows_that_are_never_silent_are_tried_where_shares_are_named(
    train_now, tmp_path: Path, capfd
) -> None:
    assert train_now(evaluation__metric="rougeL")[0] == 0
    adapter = tmp_path / "models" / "tiny"
    few = [str(adapter), "--windows", "6", "--bans", "3", "--biases", "--copying"]
    assert main([*few, "--least", "0.125", "1"]) == 0
    record = json.loads((adapter / "run.json").read_text())
    tried = [one["decoding"]["least_windows"] for one in record["decoding_tried"]]
    assert tried == [0, 0.125, 1]
    best = chosen(record["decoding_tried"], "rougeL")["decoding"]
    assert record["recipe"]["decoding"] == best
    out = capfd.readouterr().out
    assert "12.5% of windows never silent, " in out and "100% of windows never silent, " in out
    assert main([*few, "--least"]) == 0  # the recipe's alone
    (again,) = json.loads((adapter / "run.json").read_text())["decoding_tried"]
    assert again["decoding"]["least_windows"] == best["least_windows"]


def test_beams_and_their_length_penalty_are_tried_where_they_are_named(
    train_now, tmp_path: Path, capfd
) -> None:
    assert train_now(evaluation__metric="rougeL")[0] == 0
    adapter = tmp_path / "models" / "tiny"
    few = [str(adapter), "--bans", "3", "--biases", "--copying"]
    assert main([*few, "--beams", "2", "--penalties", "0.5"]) == 0
    record = json.loads((adapter / "run.json").read_text())
    tried = [one["decoding"] for one in record["decoding_tried"]]
    assert [(one["num_beams"], one["length_penalty"]) for one in tried] == [(2, 1.0), (2, 0.5)]
    assert record["recipe"]["decoding"]["num_beams"] == 2
    assert "beams 2, " in (out := capfd.readouterr().out) and "length penalty 0.5, " in out
    assert main([*few, "--beams", "1", "2"]) == 0
    tried = json.loads((adapter / "run.json").read_text())["decoding_tried"]
    assert [one["decoding"]["num_beams"] for one in tried][:2] == [1, 2]
    assert main([*few, "--penalties", "0.5"]) == 0  # greedily there is none
    (alone,) = json.loads((adapter / "run.json").read_text())["decoding_tried"]
    assert alone["decoding"]["num_beams"] == 1
    capfd.readouterr()
    assert main([*few, "--beams", "0"]) == 1
    assert "error: num_beams must be" in capfd.readouterr().err


def test_windows_are_tried_where_lengths_are_named(train_now, tmp_path: Path, capfd) -> None:
    assert train_now(evaluation__metric="rougeL")[0] == 0
    adapter = tmp_path / "models" / "tiny"
    assert (
        main(
            [
                str(adapter),
                "--windows",
                "0",
                "6",
                "9",
                "--biases",
                "--copying",
                "--average",
                "sources",
            ]
        )
        == 0
    )
    record = json.loads((adapter / "run.json").read_text())
    tried = record["decoding_tried"]
    assert [(one["window_words"], one["decoding"]["no_repeat_ngram_size"]) for one in tried] == [
        (words, ban) for words in (None, 6, 9) for ban in BANS
    ]
    best = chosen(tried, "rougeL")
    assert record["recipe"]["window_words"] == best["window_words"]
    assert ("window_words_trained" in record) == (best["window_words"] is not None)
    assert "windows of 9 words: rougeL" in capfd.readouterr().out


def test_words_are_held_to_real_ones_where_that_is_asked_for(
    train_now, backbones, tmp_path: Path, capfd
) -> None:
    backbone = shutil.copytree(backbones("flan"), tmp_path / "worded")
    assert train_now(evaluation__metric="rougeL", backbone=str(backbone))[0] == 0
    adapter = tmp_path / "models" / "tiny"
    few = [str(adapter), "--lexicon", "--bans", "0", "3", "--biases", "--copying"]
    before = (adapter / "run.json").read_bytes()
    assert main(few) == 1
    assert "error: A lexicon is asked for, and the base model has none" in capfd.readouterr().err
    assert (adapter / "run.json").read_bytes() == before
    (backbone / "lexicon.txt").write_text("normal\nthe\n")
    assert main(few) == 0
    record = json.loads((adapter / "run.json").read_text())
    assert all(one["decoding"]["lexicon"] for one in record["decoding_tried"])
    assert record["recipe"]["decoding"]["lexicon"] is True


@pytest.mark.parametrize(
    ("scores", "taken"),
    [
        ({(1, 0, 0): 20.0, (1, 3, 0): 20.5, (1, 4, 0): 20.6, (4, 3, 0): 20.7}, (1, 3, 0)),
        ({(1, 0, 0): 20.0, (1, 3, 0): 19.9}, (1, 3, 0)),
        ({(1, 0, 0): 20.0, (1, 3, 0): 19.7}, (1, 0, 0)),
        ({(1, 3, 0): 20.0, (4, 3, 0): 20.3}, (4, 3, 0)),
        ({(1, 3, 0): 20.0, (1, 3, -1): 20.3, (1, 3, -2): 20.4}, (1, 3, -1)),
        ({(1, 3, 0): 20.0, (1, 3, 0.5): 20.1}, (1, 3, 0)),
        ({(1, 3, 0, 1): 20.1, (1, 3, 0, 0): 20.0}, (1, 3, 0, 0)),
        ({(1, 3, 0, 1): 20.4, (1, 3, 0, 0): 20.0}, (1, 3, 0, 1)),
        ({(4, 3, 0, 0, 0.5): 20.1, (4, 3, 0, 0, 1.0): 20.0}, (4, 3, 0, 0, 0.5)),
    ],
)
def test_of_equals_the_plainest_search_with_the_strictest_ban_is_taken(scores, taken) -> None:
    names = ("num_beams", "no_repeat_ngram_size", "end_bias", "copy_bias", "length_penalty")
    tried = [
        {
            "decoding": dict(zip(names, values, strict=False)),
            "rouge1": score,
        }
        for values, score in scores.items()
    ]
    assert tuple(chosen(tried, "rouge1")["decoding"].values())[: len(taken)] == taken


def test_a_folder_without_a_record_is_told(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path)]) == 1
    assert "run.json is missing" in capsys.readouterr().err
