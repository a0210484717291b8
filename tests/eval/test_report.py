"""One page for a run: every picture that can be drawn, the same each time."""

import json
import random
import re

import pytest
from eval_helpers import rows, write_jsonl, write_predictions

from eval import figures, report, semantic
from eval.rows import read_predictions
from eval.scores import score

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    rng = random.Random(0)
    lines = [
        row | {"base": " ".join(rng.sample(row["input"].split(), 4)), "lora": row["target"],
               "first sentence": row["input"].split(".")[0] + "."}
        for row in rows(40)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("predictions") / "p.jsonl"
    return write_predictions(
        path, lines, base={}, lora={}, **{"first sentence": {"method": "rule"}}
    )


@pytest.fixture(scope="module")
def scores(predictions):
    return score(read_predictions(predictions), permutations=199)


RUN = {
    "curve": [{"step": s, "loss": 3 - s / 100} for s in range(0, 100, 10)]
    + [{"step": s, "eval_loss": 3 - s / 110, "eval_rougeL": s / 2} for s in range(0, 100, 20)],
    "selected": {"step": 80, "metric": "rougeL, mean over rows", "value": 40},
}


def test_one_command_makes_the_page_with_all_its_pictures(predictions, tmp_path, capsys):
    run = tmp_path / "run.json"
    run.write_text(json.dumps(RUN))
    out = tmp_path / "report"
    code = report.main(["--predictions", str(predictions), "--run", str(run), "--out", str(out)])
    assert code == 0 and capsys.readouterr().out.strip() == str(out / "report.md")
    page = (out / "report.md").read_text()
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)
    assert set(pictures) == {"forest.png", "scatter.png", "lengths.png", "curves.png"}
    for name in pictures:
        assert (out / name).read_bytes().startswith(PNG)
    assert json.loads((out / "scores.json").read_text())["data"]["n"] == 40
    assert "brevity penalty" in page and "too few to say" in page.lower() and "n = 40" in page


def test_the_page_can_be_made_again_from_scores_alone(scores, tmp_path):
    scores = dict(scores)
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(scores))
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    out = tmp_path / "report"
    assert report.main(["--scores", str(path), "--out", str(out)]) == 0
    page = (out / "report.md").read_text()
    assert (out / "forest.png").exists() and (out / "curves.png").exists()
    assert (out / "scatter.png").exists() and (out / "lengths.png").exists()
    del scores["rows"]  # as files of an earlier version are
    path.write_text(json.dumps(scores))
    assert report.main(["--scores", str(path), "--out", str(tmp_path / "old")]) == 0
    page = (tmp_path / "old" / "report.md").read_text()
    assert not (tmp_path / "old" / "scatter.png").exists()
    assert "make it again with `python -m eval.run`" in page


def test_the_rows_of_the_scores_are_the_packages_rouge_of_every_row(predictions, scores):
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    found, read = scores["rows"], read_predictions(predictions)
    assert set(found["scores"]) == {"base", "lora"} and found["metric"] == "rougeL"
    for place, row in enumerate(read.rows):
        assert found["words"][place] == len(row["input"].split())
        for name, values in found["scores"].items():
            theirs = scorer.score(row["target"], read.outputs[name][place])["rougeL"].fmeasure
            assert values[place] == pytest.approx(100 * theirs, abs=0.05 + 1e-9)


def test_the_same_scores_give_the_same_pictures(scores, tmp_path):
    pages = [report.report(scores, tmp_path / name, run=RUN) for name in ("a", "b")]
    assert pages[0] == pages[1]
    for name in ("forest.png", "curves.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_curve_shows_the_score_that_chose_the_checkpoint(tmp_path):
    drawn = []
    for metric in ("rougeL, mean over rows", "rougeL", "eval_none"):
        assert figures.curves(
            RUN["curve"], tmp_path / "c.png", RUN["selected"] | {"metric": metric}
        )
        drawn.append((tmp_path / "c.png").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_title_runs_off_its_picture(scores, tmp_path):
    """The outer pixels of every picture are empty."""
    from matplotlib.image import imread

    long = scores | {"data": scores["data"] | {"name": "a-folder-of-some-length/test.jsonl"}}
    report.report(long, tmp_path, run=RUN)
    for path in tmp_path.glob("*.png"):
        pixels = imread(path)[..., :3]
        edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        assert all((edge > 0.99).all() for edge in edges), path.name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--scores", "none.json"], "There is no file none.json"),
        (["--scores", "list.json"], "list.json is no scores"),
        (["--scores", "part.json"], "part.json or its run record is incomplete"),
        (["--predictions", "none.jsonl"], "There is no file none.jsonl"),
        (["--scores", "part.json", "--run", "curve.json"], "curve.json is no run record"),
    ],
)
def test_bad_input_gets_one_line(tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "curve.json").write_text('{"curve": [1, 2]}')
    (tmp_path / "part.json").write_text('{"systems": {}}')
    assert report.main(arguments) == 1
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1


# --- BERTScore, with a tiny encoder in place of the one that cannot be loaded here ---------------


def test_bertscore_says_why_it_is_missing():
    reason = semantic.why_missing(semantic.DEFAULT_MODEL, fetch=False)
    assert reason.startswith("BERTScore is missing") and "roberta-large" in reason


def test_bertscore_is_100_for_the_same_text_and_less_for_another(tiny):
    assert semantic.why_missing(tiny.backbone, fetch=False) is None
    outputs = ["The heart is large.", "No effusion.", ""]
    references = ["The heart is large.", "A nodule of 2.5 cm in the lung.", "Clear."]
    found = semantic.bertscore(outputs, references, tiny.backbone)
    assert found[0] == pytest.approx(100, abs=1e-3)
    assert found[1] < 99 and found[2] == 0
    alone = [semantic.bertscore([o], [r], tiny.backbone)[0]
             for o, r in zip(outputs, references, strict=True)]  # fmt: skip
    assert list(found) == pytest.approx(alone, abs=1e-3)


def test_bertscore_stands_among_the_scores_and_says_with_which_model(tiny, predictions, tmp_path):
    out = tmp_path / "report"
    code = report.main(["--predictions", str(predictions), "--bertscore", tiny.backbone,
                        "--out", str(out)])  # fmt: skip
    scores = json.loads((out / "scores.json").read_text())
    assert code == 0 and scores["systems"]["lora"]["bertscore"]["mean"] == pytest.approx(100)
    assert "last layer" in scores["versions"]["bertscore"]
    assert tiny.backbone not in json.dumps(scores)
    page = (out / "report.md").read_text()
    assert "BERTScore" in page and "BERTScore is missing" not in page


def test_speed_compares_identical_texts(tiny, tmp_path, capsys):
    from eval import speed

    data = write_jsonl(tmp_path / "test.jsonl", rows(6))
    code = speed.main([tiny.adapters["radiology"], "--backbone", tiny.backbone, "--data", str(data),
                       "--rows", "8", "--batch-size", "4", "--max-new-tokens", "8",
                       "--json", str(tmp_path / "speed.json")])  # fmt: skip
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["identical"] == found["texts"] == 16
    assert found["ratio"] == pytest.approx(found["loop"]["seconds"] / found["ours"]["seconds"])
    out = capsys.readouterr().out
    assert code == 0 and "identical texts: 16 of 16" in out
    assert re.search(r"ratio: \d+\.\d by the clock, \d+\.\d by processor time", out)
