"""Learning from other adapters: word by word in the loss, text by text for rows without a target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.conftest import radiology_rows, write_rows
from tests.train.test_run import record
from train import distill
from train.errors import RecipeError
from train.recipe import load_recipe
from train.tokens import Example

STILL = {"adapter__lora_dropout": 0.0, "training__dropout": 0.0}


@pytest.fixture
def teachers(tmp_path: Path, train_now) -> list[str]:
    """Two adapters of the tiny backbone that were trained differently."""
    folders = []
    for name, seed in (("one", 1), ("two", 2)):
        status, _, err = train_now(name=name, seed=seed, training__learning_rate=5e-3)
        assert status == 0, err
        folders.append(str(tmp_path / "models" / name))
    return folders


def plain_probabilities(backbone: str, teacher: str, example: Example) -> torch.Tensor:
    """What transformers and PEFT alone say of an answer: (U, vocabulary)."""
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(backbone)
    model = PeftModel.from_pretrained(model, teacher).eval()
    with torch.no_grad():
        given = torch.tensor([example.input_ids])
        out = model(input_ids=given, labels=torch.tensor([example.labels]))
    return out.logits[0].softmax(-1)


def test_teachers_are_asked_for_the_mean_of_their_probabilities(backbones, teachers) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    backbone = str(backbones("flan"))
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    examples = [
        Example(tokenizer(row["input"])["input_ids"], tokenizer(row["target"])["input_ids"])
        for row in radiology_rows(3, seed=9)
    ]
    model = AutoModelForSeq2SeqLM.from_pretrained(backbone)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainable = [value.requires_grad for value in model.parameters()]
    told = distill.ask(model, teachers, examples, tokenizer.pad_token_id)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [value.requires_grad for value in model.parameters()] == trainable
    for example, one in zip(examples, told, strict=True):
        mean = sum(plain_probabilities(backbone, teacher, example) for teacher in teachers) / 2
        likeliest = torch.from_numpy(one.tokens).long()
        assert one.shares.shape == (len(example.labels), distill.LIKELIEST)
        wanted = mean.gather(1, likeliest)
        assert float(wanted.sum(1).min()) > 0.9 * float(
            mean.topk(distill.LIKELIEST).values.sum(1).min()
        )
        wanted = wanted / wanted.sum(1, keepdim=True)
        torch.testing.assert_close(torch.from_numpy(one.shares), wanted, atol=0.02, rtol=0.1)


def test_the_loss_is_the_cross_entropy_against_their_shares() -> None:
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    shares, tokens = torch.randn(5, 40).softmax(-1).topk(8)
    shares = shares / shares.sum(-1, keepdim=True)
    whole = torch.zeros(5, 40).scatter(1, tokens, shares)
    expected = torch.nn.functional.cross_entropy(logits, whole, reduction="none")
    torch.testing.assert_close(distill.soft_loss(logits, tokens, shares), expected)


def test_a_run_learns_from_its_teachers_and_says_so(tmp_path, train_now, teachers) -> None:
    """With one teacher alone, and nothing of the targets, a run comes nearer to it than without."""

    def losses(name: str, **changes: Any) -> dict[str, Any]:
        status, out, err = train_now(
            name=name, training__num_epochs=6, training__learning_rate=5e-3, **STILL, **changes
        )
        assert status == 0, err
        assert ("Asking 1 teachers" in out) is ("distillation__teachers" in changes)
        return record(tmp_path / "models" / name)

    alone = losses("alone")
    taught = losses("taught", distillation__teachers=[teachers[0]], distillation__weight=1.0)
    assert taught["goes_on_from"] == ["one"] and "goes_on_from" not in alone
    assert taught["recipe"]["distillation"] == {"teachers": [teachers[0]], "weight": 1.0}

    def first(run: dict[str, Any]) -> float:
        return next(entry["loss"] for entry in run["curve"] if "loss" in entry)

    assert abs(first(taught) - first(alone)) > 0.01

    def distance(name: str) -> float:
        from transformers import AutoTokenizer

        backbone = alone["recipe"]["backbone"]
        tokenizer = AutoTokenizer.from_pretrained(backbone)
        total = 0.0
        for row in radiology_rows(8):
            example = Example(
                tokenizer("summarize: " + row["input"])["input_ids"],
                tokenizer(row["target"])["input_ids"],
            )
            told = plain_probabilities(backbone, teachers[0], example)
            own = plain_probabilities(backbone, str(tmp_path / "models" / name), example)
            total += float((told * (told.log() - own.log())).sum(1).mean())
        return total

    assert distance("taught") < 0.8 * distance("alone")


def test_texts_are_answered_by_all_teachers_together(
    tmp_path, backbones, teachers, recipe_file
) -> None:
    """Equal to a slow way: at each step the mean of each teacher's own log-probabilities."""
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    backbone = str(backbones("flan"))
    rows = [{"id": row["id"], "input": row["input"]} for row in radiology_rows(5, seed=4)]
    texts, out = write_rows(tmp_path / "texts.jsonl", rows), tmp_path / "out" / "told.jsonl"
    recipe = load_recipe(
        str(recipe_file(decoding__max_new_tokens=8, distillation__teachers=teachers))
    )
    written = distill.write(recipe, texts, out, batch_size=2)
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert written == len(told) and {row["id"] for row in told} <= {row["id"] for row in rows}

    tokenizer = AutoTokenizer.from_pretrained(backbone)
    models = [
        PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(backbone), teacher).eval()
        for teacher in teachers
    ]
    prompt = json.loads((Path(teachers[0]) / "run.json").read_text())["recipe"]["prompt"]
    expected = {}
    for row in rows:
        given = torch.tensor([tokenizer(prompt.format(input=row["input"]))["input_ids"]])
        answer = [models[0].config.decoder_start_token_id]
        with torch.no_grad():
            while len(answer) <= 8 and answer[-1] != tokenizer.eos_token_id:
                so_far = torch.tensor([answer])
                scores = [
                    model(input_ids=given, decoder_input_ids=so_far).logits[0, -1].log_softmax(-1)
                    for model in models
                ]
                answer.append(int(torch.stack(scores).mean(0).argmax()))
        expected[row["id"]] = tokenizer.decode(answer, skip_special_tokens=True).strip()
    assert {row["id"]: row["target"] for row in told} == {k: v for k, v in expected.items() if v}


def test_texts_that_cannot_be_answered_are_told(tmp_path, teachers, recipe_file, capfd) -> None:
    recipe = recipe_file(decoding__num_beams=2, distillation__teachers=teachers)
    texts, out = tmp_path / "texts.jsonl", tmp_path / "told.jsonl"
    row = {"id": "a", "input": "The heart is normal."}
    for content, words in (
        (json.dumps(row) + "\n" + json.dumps(row), "an id twice"),
        (json.dumps(row) + "\n{", "line 2: not valid JSON"),
        (json.dumps({"id": "a"}), "line 1 has no id or no input"),
        ("\udcff", "not UTF-8"),
        (json.dumps({"id": "a", "input": " "}), "Row 1"),
    ):
        texts.write_text(content, encoding="utf-8", errors="surrogateescape")
        assert distill.main([str(recipe), str(texts), str(out)]) == 1
        told = capfd.readouterr().err.splitlines()[-1]
        assert words in told and told.startswith("error: ") and not out.exists()
    texts.write_text(json.dumps(row) + "\n")
    assert distill.main([str(recipe), str(texts), str(out)]) == 0


def test_a_stopped_writing_goes_on(tmp_path, teachers, recipe_file, monkeypatch) -> None:
    rows = [{"id": row["id"], "input": row["input"]} for row in radiology_rows(6, seed=4)]
    texts, out = write_rows(tmp_path / "texts.jsonl", rows), tmp_path / "told.jsonl"
    recipe = load_recipe(
        str(recipe_file(decoding__max_new_tokens=8, distillation__teachers=teachers))
    )
    distill.write(recipe, texts, tmp_path / "whole.jsonl", batch_size=1)

    real, asked = distill.Together._generate, []

    def killed(self, task, systems, prompts, *rest):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(prompts)
        return real(self, task, systems, prompts, *rest)

    monkeypatch.setattr(distill.Together, "_generate", killed)
    with pytest.raises(KeyboardInterrupt):
        distill.write(recipe, texts, out, batch_size=1)
    assert not out.exists()
    staged = tmp_path / ".told.jsonl.part"
    assert len(staged.read_text().splitlines()) == 3
    staged.write_text(staged.read_text()[:-9])  # killed in the middle of a line
    asked.clear()
    monkeypatch.setattr(distill.Together, "_generate", lambda *a: (asked.append(a[3]), real(*a))[1])
    distill.write(recipe, texts, out, batch_size=1)
    assert len(asked) == 4 and not staged.exists()
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"distillation.weight": 0.0}, "distillation.weight is a share above 0"),
        ({"distillation.weight": 1.5}, "distillation.weight is a share above 0"),
        ({"architecture": "causal"}, "needs architecture: seq2seq"),
    ],
)
def test_distillations_that_cannot_be_are_refused(changes, sentence) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(
            "question-flan-t5-large",
            {"backbone": "models/base", "distillation.teachers": ["models/question"], **changes},
        )


def test_a_teacher_that_is_not_there_is_named_with_the_recipe_that_makes_it(
    tmp_path, monkeypatch, capsys
) -> None:
    from train import run

    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RecipeError, match="teachers models/nobody: there is no adapter in this folder"
    ):
        distill.check_teachers(
            load_recipe("question-fifth", {"distillation.teachers": ["models/nobody"]})
        )
    teachers = ["--distillation.teachers", "[models/dialogue-start]"]
    # Of what this recipe names, a clone has nothing but the base.
    start = ["dialogue-seventh", "--init_from", "null", "--mixed", "{}", *teachers]
    start += ["--data_dir", str(tmp_path)]
    assert run.main(start) == 1
    assert "make it with python -m train.run dialogue-start" in capsys.readouterr().err
    assert distill.main(["question", "texts.jsonl", "out.jsonl"]) == 1
    assert "names no distillation.teachers" in capsys.readouterr().err
