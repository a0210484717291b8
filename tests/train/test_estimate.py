"""A dry run counts what can be counted, and says what it assumes of the rest."""

from __future__ import annotations

import json
import re

import pytest

from train.errors import RecipeError
from train.estimate import Load, Shape, memory_bytes, seconds, shape_of
from train.recipe import load_recipe
from train.run import resolve


def test_it_tells_parameters_steps_memory_time_and_cost(tmp_path, train_now) -> None:
    status, out, err = train_now("--dry-run", "--gpu", "4090", "--price_per_hour", "100")
    assert status == 0, err
    assert "lora_rank: 4" in out and "max_input_tokens: 96" in out
    found = re.search(r"trainable parameters  ([\d,]+) of ([\d,]+) \(([\d.]+)%\)", out)
    trainable, total = (int(found[place].replace(",", "")) for place in (1, 2))
    assert float(found[3]) == pytest.approx(100 * trainable / total, abs=0.01)
    assert "steps                 10 of 8 rows\n" in out
    assert re.search(r"memory                about [\d.]+ GiB of the 4090's 24", out)
    assert re.search(r"time                  about .* on one 4090, at 30% of its 165 TFLOP/s", out)
    assert re.search(r"cost                  about [\d.]+ at 100 an hour", out)
    assert not (tmp_path / "models").exists() and not (tmp_path / "runs").exists()
    # The count and the steps are the run's own.
    assert train_now()[0] == 0
    run = json.loads((tmp_path / "models" / "tiny" / "run.json").read_text())
    assert (run["trainable_parameters"], run["parameters"]) == (trainable, total)
    assert run["steps"] == 10


def test_without_data_the_recipe_s_own_number_of_rows_counts(train_now) -> None:
    status, out, _ = train_now("--dry-run", data__data_dir="/nowhere", data__expected_rows=800)
    assert status == 0 and "steps                 200 of 8 rows (the data is not prepared" in out
    status, _, err = train_now("--dry-run", data__data_dir="/nowhere")
    assert status == 1 and "--expected_rows" in err and err.count("\n") == 1


def test_the_seed_s_steps_come_out() -> None:
    """59,320 rows in 5 epochs of an effective batch of 32: the notebook's 9,270 steps."""
    from train.estimate import load_of

    recipe = resolve(load_recipe("radiology-t5-small", {"data_dir": "/nowhere"}))
    assert load_of(recipe).steps == 9270


def test_an_unknown_gpu_is_told(train_now) -> None:
    status, _, err = train_now("--dry-run", "--gpu", "abacus")
    assert status == 1 and "h100, a100" in err
    status, _, err = train_now("--dry_run", "--price-per-hour", "-1")
    assert status == 1 and "price_per_hour must not be below 0" in err


def shape(**changes) -> Shape:
    values = {
        "trainable": 10_000_000, "total": 800_000_000, "linear": 700_000_000,
        "encoder_share": 0.45, "layers": 48, "hidden": 1024, "vocabulary": 32_128, "modules": 900,
    }  # fmt: skip
    return Shape(**(values | changes))


LOAD = Load(steps=1000, input_tokens=300, target_tokens=60, rows_a_step=16, measured=True)


def test_memory_and_time_go_the_right_way() -> None:
    plain = resolve(load_recipe("question-flan-t5-large"))
    checkpointed = resolve(load_recipe("question-flan-t5-large", {"gradient_checkpointing": True}))
    packed = resolve(load_recipe("question-flan-t5-large", {"use_4bit": True}))
    assert memory_bytes(checkpointed, shape(), LOAD) < memory_bytes(plain, shape(), LOAD)
    assert memory_bytes(packed, shape(), LOAD) < memory_bytes(plain, shape(), LOAD)
    peak = 20e12
    assert seconds(plain, shape(), LOAD, peak) < seconds(plain, shape(), LOAD, peak / 4)
    small = shape(linear=1_000_000)  # bound by launches, not by operations
    assert seconds(plain, small, LOAD, peak) == seconds(plain, small, LOAD, 2 * peak)


def test_the_published_share_of_the_seeds_is_met(tmp_path) -> None:
    """Seed 003 trains about 2% of FLAN-T5-large; seed 004 12.6M of MediPhi (0.33%)."""
    from transformers import Phi3Config, T5Config

    T5Config(
        vocab_size=32128, d_model=1024, d_kv=64, d_ff=2816, num_layers=24, num_decoder_layers=24,
        num_heads=16, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        decoder_start_token_id=0,
    ).save_pretrained(tmp_path / "large")  # fmt: skip
    large = shape_of(
        resolve(load_recipe("question-flan-t5-large", {"backbone": str(tmp_path / "large")}))
    )
    assert large.total - large.trainable == 783_150_080
    assert 0.015 < large.trainable / large.total < 0.025
    Phi3Config().save_pretrained(tmp_path / "phi")
    phi = shape_of(
        resolve(load_recipe("radiology-mediphi-qlora", {"backbone": str(tmp_path / "phi")}))
    )
    assert phi.trainable == 12_582_912 and 0.0032 < phi.trainable / phi.total < 0.0034


def test_a_backbone_that_is_nowhere_is_told() -> None:
    with pytest.raises(RecipeError, match="backbone"):
        shape_of(resolve(load_recipe("question-flan-t5-large", {"backbone": "models/none"})))
