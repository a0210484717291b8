"""scores.json: its shape, its honesty, and what it must show of good, bad and shuffled systems."""

import json
import math
import random

import pytest
from eval_helpers import rows, write_jsonl, write_predictions

from eval import run
from eval.metrics import METRICS, measure
from eval.rows import Predictions, read_predictions
from eval.scores import score
from eval.tables import compact_json, scores_text
from summarizer.tasks import Decoding

DATA = {"name": "north/test.jsonl", "split": "test", "sha256": "0" * 64, "n": 40}
WORDS = ["effusion", "nodule", "edema", "left", "right", "mild", "stable", "lobe", "heart", "acute"]


def many(count=40):
    """Rows whose references differ from one another."""
    rng = random.Random(1)
    made = rows(count)
    for row in made:
        row["target"] = " ".join(rng.choices(WORDS, k=rng.randint(5, 12))).capitalize() + "."
    return made


def predictions(made, **outputs):
    settings = {"method": "generate", "decoding": Decoding(max_new_tokens=12).to_dict()}
    systems = {name: dict(settings) for name in outputs}
    return Predictions("radiology", made, outputs, systems, DATA | {"n": len(made)})


@pytest.fixture(scope="module")
def scored():
    made = many()
    rng = random.Random(2)
    worse = [" ".join(rng.sample(row["target"].split(), 3)) for row in made]
    return score(predictions(made, base=worse, lora=[r["target"] for r in made]), permutations=999)


def test_the_shape_is_the_contracts(scored):
    assert set(scored) >= {
        "task", "data", "decoding", "versions", "systems", "paired", "segments",
    }  # fmt: skip
    assert set(scored["data"]) == {"name", "split", "sha256", "n"}
    for name in ("base", "lora"):
        for metric in ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu"):
            assert set(scored["systems"][name][metric]) == {"mean", "low", "high"}
    for entry in scored["paired"]:
        assert set(entry) == {"a", "b", "metric", "difference", "low", "high", "p"}
    for segment in scored["segments"]:
        assert set(segment) == {"by", "value", "n", "systems", "paired"}
    Decoding.from_dict(scored["decoding"])
    assert scored["versions"]["rouge-score"] and "stemmer on" in scored["versions"]["rouge"]


def test_what_is_better_when_higher_is_apart_from_what_texts_look_like(scored):
    assert all(METRICS[m].better == "higher" for m in scored["systems"]["lora"])
    assert {"repetition", "length_ratio", "bleu_brevity_penalty"} <= set(scored["form"]["lora"])
    for values in (*scored["systems"].values(), *scored["form"].values()):
        for figure in values.values():
            assert figure["low"] <= figure["mean"] <= figure["high"]


def test_a_perfect_system_scores_100_with_no_width(scored):
    for metric in ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf"):
        assert scored["systems"]["lora"][metric] == {"mean": 100.0, "low": 100.0, "high": 100.0}


def test_a_difference_is_a_minus_b_of_the_same_rows(scored):
    entry = next(e for e in scored["paired"] if e["metric"] == "rougeL")
    assert (entry["a"], entry["b"]) == ("lora", "base")
    means = [scored["systems"][name]["rougeL"]["mean"] for name in ("lora", "base")]
    assert entry["difference"] == pytest.approx(means[0] - means[1], abs=2e-4)
    assert entry["low"] <= entry["difference"] <= entry["high"] and entry["p"] <= 0.05


def test_segments_hold_all_rows_of_their_column(scored):
    for by in ("source", "modality", "overlap with training"):
        assert sum(s["n"] for s in scored["segments"] if s["by"] == by) == 40


def test_the_p_of_a_segment_is_corrected_for_their_number():
    """Twenty equal systems' segments: uncorrected, one in twenty would look better by chance."""
    rng = random.Random(5)
    made = many(400)
    for k, row in enumerate(made):
        row["modality"] = f"m{k % 20}"
    noisy = [[" ".join(rng.sample(r["target"].split(), 4)) for r in made] for _ in range(2)]
    scores = score(predictions(made, base=noisy[0], lora=noisy[1]), permutations=999)
    found = [s for s in scores["segments"] if s["by"] == "modality"]
    assert len(found) == 20
    assert all(entry["p"] > 0.05 for s in found for entry in s["paired"])


def test_shuffled_references_bring_rouge_to_its_floor():
    made = many(60)
    perfect = [row["target"] for row in made]
    shuffled = perfect[:]
    random.Random(3).shuffle(shuffled)
    scores = score(predictions(made, base=shuffled, lora=perfect), permutations=99)
    by_chance = scores["systems"]["base"]
    assert by_chance["rougeL"]["mean"] < 55 and by_chance["rouge2"]["mean"] < 25
    assert by_chance["bleu"]["mean"] < 15
    assert scores["systems"]["lora"]["rougeL"]["mean"] == 100


def test_an_empty_output_counts_as_nothing_and_is_counted():
    made = many(20)
    texts = [row["target"] if k % 2 else "" for k, row in enumerate(made)]
    scores = score(predictions(made, base=texts, lora=texts), permutations=99)
    assert scores["systems"]["lora"]["rouge1"]["mean"] == 50.0
    assert scores["form"]["lora"]["empty"]["mean"] == 50.0


def test_every_mean_of_every_system_counts_the_same_rows():
    """Outputs without words, and of one word, have no share of copied words or new pairs."""
    made = many(20)
    texts = {"full": [row["target"] for row in made], "none": ["", "edema"] * 10}
    counted = {
        name: {m: s.rows[:, 1].sum() for m, s in measure("radiology", made, outputs).items()
               if s.rows.shape[1] == 2 and m != "bleu_brevity_penalty"}
        for name, outputs in texts.items()
    }  # fmt: skip
    assert counted["full"] == counted["none"] and {"copied", "new_words", "new_bigrams"} <= set(
        counted["full"]
    )


def test_a_rate_that_floors_do_not_have_is_shown_and_compared_between_models():
    made = many(20)
    texts = [row["target"] for row in made]
    systems = {name: {"method": "generate"} for name in ("base", "lora")}
    found = Predictions(
        "radiology", made, {"base": texts, "lora": texts, "whole input": texts},
        systems | {"whole input": {"method": "rule"}}, DATA | {"n": 20},
        {"cut_off": {"base": [True] * 15 + [False] * 5, "lora": [False] * 20}},
    )  # fmt: skip
    scores = score(found, permutations=999)
    assert scores["form"]["base"]["cut_off"]["mean"] == 75
    assert "cut_off" not in scores["form"]["whole input"]
    entry = next(e for e in scores["form_paired"] if e["metric"] == "cut_off")
    assert (entry["a"], entry["b"], entry["difference"]) == ("lora", "base", -75)
    assert entry["high"] < 0 and entry["p"] < 0.01
    assert {e["b"] for e in scores["form_paired"]} == {"base"}
    assert "lora - base  cut off" in scores_text(scores)


def test_models_that_decode_differently_are_said_to():
    made = many(12)
    texts = [row["target"] for row in made]
    settings = {
        "base": Decoding(max_new_tokens=9),
        "lora": Decoding(num_beams=2, max_new_tokens=5, no_repeat_ngram_size=3),
    }
    systems = {n: {"method": "generate", "decoding": d.to_dict()} for n, d in settings.items()}
    outputs = {"base": texts, "lora": texts}
    found = Predictions("radiology", made, outputs, systems, DATA | {"n": 12})
    scores = score(found, permutations=99)
    assert scores["decodings"] == {n: d.to_dict() for n, d in settings.items()}
    assert (
        "base: greedy, at most 9 tokens; lora: 2 beams, no 3 tokens in a row twice, at most 5 tokens"
    ) in scores_text(scores)
    assert "decodings" not in score(predictions(made, base=texts, lora=texts), permutations=99)


def test_scores_do_not_depend_on_the_order_of_rows():
    made = many(30)
    texts = [row["target"][: 10 + k] for k, row in enumerate(made)]
    order = list(range(30))
    random.Random(0).shuffle(order)
    one = score(predictions(made, lora=texts), permutations=99)["systems"]["lora"]
    other = score(
        predictions([made[k] for k in order], lora=[texts[k] for k in order]), permutations=99
    )["systems"]["lora"]
    assert {m: v["mean"] for m, v in one.items()} == pytest.approx(
        {m: v["mean"] for m, v in other.items()}, abs=2e-4
    )


def test_json_reads_back_whole(scored):
    text = compact_json(scored)
    assert json.loads(text) == scored and not math.isnan(
        scored["systems"]["lora"]["rouge1"]["mean"]
    )
    assert '"rouge1": {"mean": 100.0, "low": 100.0, "high": 100.0}' in text


def test_the_printed_table_is_the_files(scored):
    text = scores_text(scored)
    base = scored["systems"]["base"]["rougeL"]
    assert f"{base['mean']:.1f} [{base['low']:.1f}, {base['high']:.1f}]" in text
    assert "n = 40" in text and "test split" in text and "greedy" in text


# --- the command ---------------------------------------------------------------------------------


def test_an_adapter_is_scored_by_one_command(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "north"
    folder.mkdir()
    train = write_jsonl(folder / "train.jsonl", rows(6))
    test = write_jsonl(folder / "test.jsonl", rows(12))
    code = run.main([
        tiny.adapters["radiology"], "--data", str(test), "--train", str(train), "--task",
        "radiology", "--backbone", tiny.backbone, "--max-new-tokens", "8", "--json", "s.json",
    ])  # fmt: skip
    out = capsys.readouterr().out
    assert code == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert list(scores["systems"])[:2] == ["base", "lora"] and len(scores["systems"]) == 7
    assert scores["data"]["n"] == 12 and len(scores["adapter_sha256"]) == 64
    for title in ("ROUGE-1", "ROUGE-Lsum", "BLEU", "penalty", "nearest training input", "north"):
        assert title in out
    assert "BERTScore is missing" in out
    assert scores["versions"]["bertscore"].startswith("missing: FacebookAI/roberta-large")


def test_only_the_whole_test_split_goes_beside_the_adapter(tiny, tmp_path, monkeypatch, capsys):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    beside = Path(tiny.adapters["radiology"]) / "scores.json"
    common = [tiny.adapters["radiology"], "--backbone", tiny.backbone, "--no-floors",
              "--resamples", "100"]  # fmt: skip
    valid = write_jsonl(tmp_path / "validation.jsonl", rows(6))
    test = write_jsonl(tmp_path / "test.jsonl", rows(6))
    assert run.main([*common, "--data", str(valid)]) == 0
    assert run.main([*common, "--data", str(test), "--protocol", "modality-20"]) == 0
    unnamed = write_jsonl(tmp_path / "mine.jsonl", rows(6))
    assert run.main([*common, "--data", str(unnamed)]) == 0
    assert not beside.exists()
    assert run.main([*common, "--data", str(test)]) == 0
    try:
        assert json.loads(beside.read_text())["data"]["split"] == "test"
        held = beside.read_bytes()
        other = tmp_path / "other"
        other.mkdir()
        fewer = write_jsonl(other / "test.jsonl", rows(3))
        for data, more, told in (
            (fewer, [], "on other rows"),
            (test, ["--max-new-tokens", "4"], "with another decoding"),
            (test, [], None),
        ):
            capsys.readouterr()
            assert run.main([*common, *more, "--data", str(data)]) == 0
            err = capsys.readouterr().err
            assert f"this adapter {told} and stays" in err if told else "stays" not in err
            assert json.loads(beside.read_text())["data"] == json.loads(held)["data"]
            assert told is None or beside.read_bytes() == held
        # A file that is older than a setting had it at rest.
        older = json.loads(held)
        assert older["decoding"].pop("least_windows") == 0
        beside.write_text(json.dumps(older))
        assert run.main([*common, "--data", str(test)]) == 0
        assert json.loads(beside.read_text())["decoding"] == json.loads(held)["decoding"]
        # Of other weights nothing is lost: they are scored anew.
        beside.write_text(json.dumps(json.loads(held) | {"adapter_sha256": "0" * 64}))
        assert run.main([*common, "--data", str(fewer)]) == 0
        assert json.loads(beside.read_text())["data"]["n"] == 3
    finally:
        beside.unlink()


def test_the_training_set_beside_the_rows_makes_the_floors_that_need_one(
    tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    test = write_jsonl(tmp_path / "test.jsonl", rows(4))
    common = [tiny.adapters["radiology"], "--backbone", tiny.backbone, "--max-new-tokens", "4",
              "--data", str(test), "--json", "s.json", "--resamples", "100"]  # fmt: skip
    assert run.main(common) == 0
    assert "floors are left out: most frequent target, nearest" in capsys.readouterr().err
    write_jsonl(tmp_path / "train.jsonl", rows(6))
    assert run.main(common) == 0
    assert f"Training set of the floors: {tmp_path / 'train.jsonl'}" in capsys.readouterr().err
    systems = json.loads((tmp_path / "s.json").read_text())["systems"]
    assert {"most frequent target", "nearest training input"} <= set(systems)


def test_two_adapters_are_compared_by_one_command(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    test = write_jsonl(tmp_path / "test.jsonl", rows(10))
    one, two = tiny.adapters["radiology"], tiny.adapters["question"]
    code = run.main([f"one={one}", f"two={two}", "--data", str(test), "--task", "radiology",
                     "--backbone", tiny.backbone, "--max-new-tokens", "6", "--no-floors",
                     "--json", "s.json"])  # fmt: skip
    assert code == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    pairs = {(e["a"], e["b"]) for e in scores["paired"]}
    assert pairs == {("one", "base"), ("two", "base"), ("two", "one")}
    out = capsys.readouterr().out
    assert "two - one" in out
    # Segments of each pair, as for base against adapter.
    heads = [line.split()[3:5] for line in out.splitlines() if line.startswith("by  ")]
    assert heads == [["base", "one"], ["base", "two"], ["one", "two"]]


def test_text_made_elsewhere_is_scored(tmp_path, capsys):
    made = [row | {"gpt": row["target"], "mine": "Clear."} for row in many(15)]
    path = write_jsonl(tmp_path / "elsewhere.jsonl", made)
    code = run.main(["--predictions", str(path), "--task", "radiology", "--systems", "gpt,mine",
                     "--generated-by", "two programs, greedy", "--json", str(tmp_path / "s.json")])  # fmt: skip
    assert code == 0
    assert json.loads((tmp_path / "s.json").read_text())["systems"]["gpt"]["rouge1"]["mean"] == 100
    assert "mine - gpt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--predictions", "none.jsonl"], "There is no file none.jsonl"),
        (["--data", "none.jsonl"], "Name the adapter to score"),
        (["models/x", "--predictions", "p.jsonl"], "not both"),
        (["models/none", "--data", "none.jsonl", "--task", "radiology"], "none"),
        (["nowhere", "--data", "none.jsonl"], "nowhere"),
        (["--predictions", "none.jsonl", "--resamples", "3"], "--resamples must be from 100"),
        (["--predictions", "none.jsonl", "--seed", "-1"], "--seed must be at least 0"),
        (["--predictions", "none.jsonl", "--json", "."], ". is a folder"),
    ],
)
def test_bad_input_gets_one_line(capsys, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert run.main(arguments) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


def test_a_sample_says_that_it_is_one(tmp_path, capsys):
    lines = [row | {"base": "Clear.", "lora": row["target"]} for row in many(90)]
    path = write_predictions(tmp_path / "p.jsonl", lines)
    out = tmp_path / "s.json"
    code = run.main(["--predictions", str(path), "--protocol", "modality-20", "--seed", "7",
                     "--json", str(out)])  # fmt: skip
    data = json.loads(out.read_text())["data"]
    assert code == 0 and data["n"] == 40
    assert data["name"].endswith("(modality-20, seed 7)")


def test_predictions_can_be_read_and_scored_again(tmp_path):
    lines = [row | {"base": "Clear.", "lora": row["target"]} for row in many(12)]
    found = read_predictions(write_predictions(tmp_path / "p.jsonl", lines))
    assert score(found, permutations=99) == score(found, permutations=99)
