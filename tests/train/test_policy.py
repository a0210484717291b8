"""Learning from drawn texts: what a text is worth, how likely it was, and that runs gain by it."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections import Counter

import pytest
import torch

from summarizer.copying import CopyBias
from summarizer.flag import token_ids
from summarizer.generate import Engine
from summarizer.tasks import Decoding
from tests.train.conftest import radiology_rows, write_rows
from tests.train.test_run import record, sha256, start, wait_for
from tests.warm import Ranks
from train.errors import RecipeError
from train.policy import Drawer, judged
from train.recipe import Reward, load_recipe
from train.reward import Judge, advantages, scattered, window_advantages
from train.tokens import Example

REPORT = "The heart is enlarged. A fracture of the left seventh rib is seen. The lungs are clear."
TARGET = "1. Cardiomegaly. 2. Fracture of the left seventh rib."


# What a text is worth ---------------------------------------------------------------------------


def test_the_reference_is_worth_most_and_each_part_counts():
    judge = Judge(Reward(focus=0.5), "radiology")
    best = judge(TARGET, TARGET, REPORT)
    assert best == pytest.approx(0.5 + 0.5 + 0.5 + 0.2)
    ordered = [
        TARGET,
        "Fracture of the left seventh rib.",
        "Fracture of the left seventh rib. Pneumothorax and empyema.",
        "No acute cardiopulmonary abnormality.",
    ]
    worth = [judge(text, TARGET, REPORT) for text in ordered]
    assert worth == sorted(worth, reverse=True) and len(set(worth)) == 4


def test_only_words_that_nobody_said_are_invented():
    judge = Judge(Reward(rouge1=0, rougeL=1, told=0, invented=1), "radiology")
    plain = Judge(Reward(rouge1=0, rougeL=1, told=0, invented=0), "radiology")

    def taken(text: str) -> float:
        return plain(text, TARGET, REPORT) - judge(text, TARGET, REPORT)

    assert taken("The lungs are clear, the heart is enlarged: cardiomegaly.") == 0
    assert taken("A rib, and with it, pneumothorax") == pytest.approx(1 / 2)
    assert taken("") == 0


def test_words_of_one_sentence_belong_together_and_those_of_several_do_not():
    def share(text: str) -> float:
        return scattered(text, "1. Cardiomegaly.", REPORT)

    assert share("1. Fracture of the left seventh rib. 2. Clear lungs, cardiomegaly.") == 0
    assert share("Fracture of the enlarged heart.") == pytest.approx(1 / 3)
    assert share("Pneumothorax of the left rib, clear lungs.") == pytest.approx(3 / 5)
    assert share("") == share("It is.") == 0 and scattered("Clear lungs.", "", "") == 1


def test_a_side_a_denial_a_number_and_a_repetition_are_each_taken_off():
    judge = Judge(Reward(rouge1=0, rougeL=1, told=0, invented=0, faults=0.25), "radiology")
    plain = Judge(Reward(rouge1=0, rougeL=1, told=0, invented=0), "radiology")
    report = f"{REPORT} No effusion."

    def taken(text: str) -> float:
        return plain(text, TARGET, report) - judge(text, TARGET, report)

    assert taken(TARGET) == taken("Clear lungs.") == 0  # what is left out is no such fault
    assert taken("Fracture of the right seventh rib.") == pytest.approx(0.25)
    assert taken("Effusion.") == taken("Fracture of 12 ribs.") == pytest.approx(0.25)
    assert taken("Effusion and fracture of 12 right seventh ribs.") == pytest.approx(0.75)
    assert taken("the left rib " * 5) == pytest.approx(0.25)


def test_normal_told_as_abnormal_earns_nothing_for_it_and_only_reports_are_asked():
    reward = Reward(rouge1=0, rougeL=1, told=0.2, invented=0)
    reports, plain = Judge(reward, "radiology"), Judge(reward, "dialogue")
    for text, earned in (("Pneumonia.", 0.2), ("No pneumonia.", 0.0)):
        assert reports(text, "Pneumonia.", "") - plain(text, "Pneumonia.", "") == pytest.approx(
            earned
        )


def test_silence_is_worth_something_where_nothing_is_to_be_said():
    judge = Judge(Reward(rouge1=0.5, rougeL=0.5, focus=0.5), "dialogue")
    assert judge("", "", "Doctor: Hm.") == 1.5 and judge("Hm.", "", "Doctor: Hm.") == 0
    assert judge("", TARGET, REPORT) == 0
    judge = Judge(Reward(rouge1=0.5, rougeL=0.5, silence=0.25), "dialogue")
    assert judge("", "", "Doctor: Hm.") == 0.25 and judge("Hm.", "", "Doctor: Hm.") == 0


def test_a_text_is_held_against_the_row_s_others():
    assert advantages([1.0, 0.0, 0.5]) == pytest.approx([0.75, -0.75, 0.0])
    assert advantages([0.2, 0.2, 0.2]) == pytest.approx([0.0, 0.0, 0.0])


def length_of(*parts: str) -> float:
    return float(sum(map(len, parts)))


def test_a_window_answers_for_what_it_changes():
    """The second window's lengths count for none in the first's, and the other way round."""
    windows = [["a", "aaa", "aa"], ["", "bbbbbb", "bbb"]]
    assert window_advantages(windows, length_of) == pytest.approx([-1.5, 1.5, 0, -4.5, 4.5, 0])
    assert window_advantages([["a"] * 3, ["b"] * 3], length_of) == [0] * 6


def test_a_text_of_one_window_answers_for_all_of_it():
    texts = ["a", "aaa", "aa"]
    assert window_advantages([texts], length_of) == pytest.approx(
        advantages([length_of(text) for text in texts])
    )


def example_of(windows: int) -> Example:
    return Example([1], [1], parts=[[1]] * windows, texts=("an input", "a target"))


@pytest.mark.parametrize("by_window", [False, True])
def test_each_row_s_texts_are_put_together_and_held_against_its_own(by_window):
    """Two windows, then one, then three; each text's worth is the number that it is."""
    examples = [example_of(2), example_of(1), example_of(3)]
    texts = [*"12", *"46", *"05", *"71", *"11", *"29"]

    def reward(parts, example):
        assert len(parts) == len(example.parts)
        return float(sum(map(int, parts)))

    rewards, better = judged(examples, texts, reward, by_window=by_window)
    assert rewards == [[5, 8], [0, 5], [10, 11]]
    if by_window:
        assert better == [-1, 1, -2, 2, -5, 5, 6, -6, 0, 0, -7, 7]
    else:
        assert better == [-3, 3, -3, 3, -5, 5, -1, 1, -1, 1, -1, 1]


@pytest.mark.parametrize("by_window", [False, True])
def test_a_visit_of_many_windows_can_count_as_often_as_it_has_windows(by_window):
    examples, texts = [example_of(3), example_of(1)], [*"71", *"11", *"29", *"05"]

    def reward(parts, example):
        return float(sum(map(int, parts)))

    rewards, plain = judged(examples, texts, reward, by_window=by_window)
    again, weighed = judged(examples, texts, reward, by_window=by_window, weighed=True)
    assert again == rewards
    assert weighed == [*(3 * one for one in plain[:6]), *plain[6:]] and any(plain[:6])


def test_a_window_s_credit_leaves_the_gradient_unbiased():
    """Over all that two windows can draw, the mean gradient is that of the mean reward."""
    logits = torch.tensor([0.3, -0.8], dtype=torch.float64, requires_grad=True)  # of "b", each
    worths = {"aa": 0.1, "ab": 0.7, "ba": 0.4, "bb": 0.9}

    def likely(place: int, text: str) -> torch.Tensor:
        return torch.nn.functional.logsigmoid(logits[place] if text == "b" else -logits[place])

    mean = sum(
        (likely(0, first) + likely(1, second)).exp() * worths[first + second]
        for first, second in itertools.product("ab", repeat=2)
    )
    (wanted,) = torch.autograd.grad(mean, logits)
    found = torch.zeros_like(wanted)
    for drawn in itertools.product("ab", repeat=4):
        windows = [drawn[:2], drawn[2:]]  # two texts of each
        better = window_advantages(windows, lambda *parts: worths["".join(parts)])
        each = [likely(place, text) for place, texts in enumerate(windows) for text in texts]
        estimate = sum(one * log for one, log in zip(better, each, strict=True)) / 2
        chance = sum(each).exp().detach()
        found += chance * torch.autograd.grad(estimate, logits)[0]
    torch.testing.assert_close(found, wanted)


# What is drawn ----------------------------------------------------------------------------------


@pytest.fixture(params=["t5", "bart"])
def adapted(request, backbones):
    """A tiny backbone with an adapter that changes what it says, its tokenizer, two prompts."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(backbones(request.param))
    model = AutoModelForSeq2SeqLM.from_pretrained(backbones(request.param))
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.5)
    prompts = tokenizer(["The heart is normal in size.", "The lungs are clear."])["input_ids"]
    return model.eval(), tokenizer, prompts


def drawing(adapted, decoding: Decoding):
    """A drawer, what it is given of the two prompts, and the end marks."""
    model, tokenizer, prompts = adapted
    ends = [tokenizer.eos_token_id]
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
    copying = CopyBias(prompts, decoding.copy_bias, frozenset(ends))
    drawer = Drawer(model, decoding, tokenizer, ends)
    return drawer, (batch["input_ids"], batch["attention_mask"], copying), ends


def plain_distribution(model, tokenizer, prompt, written, decoding, ends) -> torch.Tensor:
    """What transformers and PEFT alone say comes next, with the biases added by hand."""
    start = model.config.decoder_start_token_id
    out = model(
        input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[start, *written]])
    )
    logits = out.logits[0, -1].double()
    last = [start, *written][-1]
    favoured = {b for a, b in zip(prompt, prompt[1:], strict=False) if a == last} - set(ends)
    logits[list(favoured)] += decoding.copy_bias
    logits[list(ends)] += decoding.end_bias
    return logits.softmax(-1)


def test_a_text_s_likelihood_is_that_of_its_words_one_by_one(adapted):
    model, tokenizer, prompts = adapted
    decoding = Decoding(max_new_tokens=6, copy_bias=2.0, end_bias=1.0)
    drawer, given, ends = drawing(adapted, decoding)
    with torch.no_grad():
        texts = drawer.draw(*given, 4)
        copying, owners = given[2], [0] * 4 + [1] * 4
        found = drawer.likelihoods(drawer.read(*given[:2]), copying, texts, owners)
        second = drawer.read(*given[:2], [1, 1])  # what is asked of alone is read alone
        assert len(second.states) == 1
        torch.testing.assert_close(
            drawer.likelihoods(second, copying, texts[5:7], [1, 1]), found[5:7]
        )
        for place, text in enumerate(texts):
            total = 0.0
            for at, token in enumerate(text):
                following = plain_distribution(
                    model, tokenizer, prompts[place // 4], text[:at], decoding, ends
                )
                total += math.log(float(following[token]))
            assert found[place] == pytest.approx(total, rel=1e-3, abs=1e-3)
    assert len(texts) == 8 and all(1 <= len(text) <= 6 for text in texts)
    assert all(tokenizer.eos_token_id not in text[:-1] for text in texts)


def test_words_are_drawn_as_often_as_they_are_likely(adapted):
    model, tokenizer, prompts = adapted
    decoding = Decoding(max_new_tokens=2, copy_bias=2.0, end_bias=1.0)
    drawer, given, ends = drawing(adapted, decoding)
    torch.manual_seed(1)
    texts = drawer.draw(*given, 3000)
    for row, prompt in enumerate(prompts):
        drawn = texts[row * 3000 : (row + 1) * 3000]
        first = Counter(text[0] for text in drawn)
        with torch.no_grad():
            wanted = plain_distribution(model, tokenizer, prompt, [], decoding, ends)
        for token in wanted.topk(5).indices.tolist():
            share = float(wanted[token])
            assert first[token] / 3000 == pytest.approx(
                share, abs=4 * math.sqrt(share * (1 - share) / 3000) + 1e-3
            )
        common = next(token for token, _ in first.most_common() if token not in ends)
        second = Counter(text[1] for text in drawn if text[0] == common)
        with torch.no_grad():
            wanted = plain_distribution(model, tokenizer, prompt, [common], decoding, ends)
        share, count = float(wanted.max()), sum(second.values())
        assert second[int(wanted.argmax())] / count == pytest.approx(
            share, abs=4 * math.sqrt(share * (1 - share) / count) + 1e-3
        )


def test_what_is_drawn_follows_the_adapter_as_it_learns(adapted):
    """The merged copy is made anew, and the model itself is left as it was."""
    model, tokenizer, prompts = adapted
    drawer, given, _ = drawing(adapted, Decoding(max_new_tokens=1))
    drawer.draw(*given, 2)
    before = {name: value.clone() for name, value in model.named_parameters()}
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.mul_(-1)
    drawer.draw(*given, 2)
    start_token = torch.full((2, 1), model.config.decoder_start_token_id)
    with torch.no_grad():
        ids, mask, _ = given
        asked = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": start_token}
        torch.testing.assert_close(
            drawer.merged(**asked).logits, model(**asked).logits, atol=1e-4, rtol=1e-4
        )
    for name, value in model.named_parameters():
        assert torch.equal(value, -before[name] if "lora_B" in name else before[name])


def test_a_row_is_flagged_abnormal_where_one_of_its_windows_is(adapted):
    """Windows 0 and 1 are of one row, 2 of another; by hand from what PEFT alone says."""
    model, tokenizer, prompts = adapted
    drawer, (ids, mask, _), _ = drawing(adapted, Decoding())
    ids, mask = ids[[0, 1, 0]], mask[[0, 1, 0]]
    drawer.flags = (5, 6)  # any two tokens: not every backbone has flags
    start_token = torch.full((3, 1), model.config.decoder_start_token_id)
    asked = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": start_token}
    with torch.no_grad():
        both = model(**asked).logits[:, -1, list(drawer.flags)].double()
        normal = both.softmax(-1)[:, 0]
        found = drawer.flag_losses(drawer.read(ids, mask), [0, 0, 1], [True, False])
        torch.testing.assert_close(
            found.double(),
            -torch.stack([(1 - normal[0] * normal[1]).log(), normal[2].log()]),
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip
    loss = drawer.flag_losses(drawer.read(ids, mask), [0, 0, 1], [True, True]).sum()
    loss.backward()
    learned = [p.grad.abs().sum() for n, p in model.named_parameters() if "lora_A" in n]
    assert all(torch.isfinite(one) for one in learned) and sum(learned) > 0


# Runs -------------------------------------------------------------------------------------------

DRAWING = {"policy__samples": 4, "training__dropout": 0.0}


def losses(folder) -> list[float]:
    return [entry["loss"] for entry in record(folder)["curve"] if "loss" in entry]


def test_a_run_earns_more_as_it_goes_on(tmp_path, train_now, data_dir):
    """From an adapter that has half learned an answer, draws of it get better."""
    write_rows(
        data_dir / "train.jsonl",
        [row | {"target": "No acute disease."} for row in radiology_rows(40)],
    )
    short = {
        "kind": "t5", "adapter__lora_rank": 16, "adapter__lora_dropout": 0.0,
        "training__learning_rate": 0.03, "decoding__max_new_tokens": 12,
    }  # fmt: skip
    assert train_now(name="begun", training__num_epochs=6, **short)[0] == 0
    status, out, err = train_now(
        name="drawn", adapter__init_from=str(tmp_path / "models" / "begun"),
        training__num_epochs=6, training__lr_scheduler="constant",
        policy__reward={"rouge1": 1.0, "rougeL": 0.0, "told": 0.0, "invented": 0.0},
        **short, **DRAWING,
    )  # fmt: skip
    assert status == 0, err
    found = losses(tmp_path / "models" / "drawn")  # minus the reward, which is 1 at most
    assert len(found) == 30 and all(-1 <= one <= 0 for one in found)
    assert sum(found[-5:]) / 5 < sum(found[:5]) / 5 - 0.05, found
    run = record(tmp_path / "models" / "drawn")
    assert run["recipe"]["policy"]["samples"] == 4 and run["tokens_per_second"] > 0
    assert run["adapter_sha256"] != record(tmp_path / "models" / "begun")["adapter_sha256"]


@pytest.mark.parametrize(("credit", "weight"), [("text", "window"), ("window", "text")])
def test_windows_are_put_together_and_long_inputs_left_out(
    tmp_path, train_now, data_dir, credit, weight
):
    long = radiology_rows(1, seed=5)[0] | {"input": " ".join(["The liver is small."] * 40)}
    write_rows(data_dir / "train.jsonl", [*radiology_rows(15), long])
    status, out, err = train_now(
        window_words=10, policy__most_windows=4, policy__credit=credit, policy__weight=weight,
        **DRAWING,
    )  # fmt: skip
    assert status == 0, err
    assert "15 training rows" in out
    assert "1 training rows have more windows than most_windows 4: left out." in out


def test_flags_are_learned_beside_what_is_drawn(tmp_path, train_now, data_dir):
    """Where nothing that is written earns anything, the flag alone is learned."""
    rows = radiology_rows(40)
    write_rows(data_dir / "train.jsonl", [row | {"target": "No acute disease."} for row in rows])
    shares = {"rouge1": 1e-9, "rougeL": 0.0, "told": 0.0, "invented": 0.0}
    margins = {}
    for share in (0.0, 5.0):
        status, out, err = train_now(
            name=f"flags-{share}", data__flag_weight=1.0, policy__flag=share,
            policy__reward=shares, training__num_epochs=3, training__learning_rate=0.01,
            decoding__max_new_tokens=4, **DRAWING,
        )  # fmt: skip
        assert status == 0, err
        margins[share] = margin_of(tmp_path / "models" / f"flags-{share}", rows[0]["input"])
    assert margins[5.0] < margins[0.0] - 1, margins


def margin_of(folder, text: str) -> float:
    """How much likelier, as a logarithm, an adapter flags a report abnormal than normal."""
    engine = Engine.load(record(folder)["recipe"]["backbone"], {"radiology": str(folder)})
    prompt = engine._prepare("radiology", {"input": text}, None).rows[0]
    engine._model.set_adapter("radiology")
    start_token = torch.tensor([[engine._model.config.decoder_start_token_id]])
    with torch.inference_mode():
        out = engine._model(input_ids=torch.tensor([prompt]), decoder_input_ids=start_token)
    normal, abnormal = token_ids(engine._backbone.tokenizer)
    return float(out.logits[0, -1, abnormal] - out.logits[0, -1, normal])


@pytest.mark.parametrize(
    ("precision", "wanted"), [("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_texts_are_drawn_and_read_in_the_recipe_s_precision(
    train_now, monkeypatch, precision, wanted
):
    found = {"drawn": set(), "read": set()}
    prepare = Drawer.__init__

    def watched(drawer, *given) -> None:
        prepare(drawer, *given)
        for name, model in (("drawn", drawer.merged), ("read", drawer.adapted)):
            head = model.get_output_embeddings()
            head.register_forward_hook(
                lambda *said, name=name: found[name].add((said[0].training, said[-1].dtype))
            )

    monkeypatch.setattr(Drawer, "__init__", watched)
    status, _, err = train_now(
        training__precision=precision, training__max_steps=1, data__flag_weight=1.0,
        policy__flag=1.0, **DRAWING,
    )  # fmt: skip
    assert status == 0, err
    assert found["drawn"] == {(False, wanted)}
    assert {kind for training, kind in found["read"] if training} == {wanted}


def test_a_killed_run_ends_with_the_same_adapter(tmp_path, train_now, recipe_file):
    slowly = {**DRAWING, "training__num_epochs": 2, "training__save_minutes": 0}
    assert train_now(name="whole", **slowly)[0] == 0
    path = recipe_file(name="killed", **slowly)
    process = start(path)
    wait_for(process, "checkpoint-3/trainer_state.json", tmp_path / "runs" / "killed")
    process.kill()
    process.wait()
    status, out, err = train_now(path=path)
    assert status == 0, err
    assert "Going on from step " in out
    one, other = (
        sha256(tmp_path / "models" / name / "adapter_model.safetensors")
        for name in ("whole", "killed")
    )
    assert one == other


def test_several_processes_are_refused(recipe_file):
    env = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    ranks = Ranks(2, "train.run", recipe_file(**DRAWING), env=env)
    for process in ranks.processes:
        assert process.wait(120) == 1
        out, err = process.said()
        assert "policy.samples trains in one process" in err and "Traceback" not in err


def test_a_run_of_before_policies_can_be_gone_on_with(tmp_path, train_now, recipe_file):
    """What a recipe could not say yet when a run began was as it is by default."""
    path = recipe_file(name="old", training__save_minutes=0)
    process = start(path)
    runs = tmp_path / "runs" / "old"
    wait_for(process, "checkpoint-2/trainer_state.json", runs)
    process.kill()
    process.wait()
    held = json.loads((runs / "recipe.json").read_text())
    assert held["policy.samples"] == 0
    held = {key: value for key, value in held.items() if not key.startswith("policy.")}
    for file in held["data.train"]:
        del file["told"]
    del held["decoding"]["least_windows"]
    (runs / "recipe.json").write_text(json.dumps(held))
    status, out, err = train_now(path=path)
    assert status == 0, err
    assert "Going on from step " in out


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"policy.samples": 1}, "policy.samples must be 0, or at least 2"),
        ({"policy.samples": -1}, "policy.samples must be 0, or at least 2"),
        ({"policy.credit": "turn"}, "policy.credit must be"),
        ({"policy.weight": "turn"}, "policy.weight must be"),
        ({"policy.flag": -0.5}, "policy.flag must not be below 0"),
        (
            {"policy.flag": 0.5, "data.flag_weight": None, "decoding.flag": False},
            "policy.flag needs flag_weight",
        ),
        ({"policy.weight": "window", "window_words": None}, "weight: window needs window_words"),
        ({"policy.reward.silence": 0.5}, "reward.silence needs a file that is windowed"),
        (
            {
                "policy.reward.silence": -0.5,
                "data.train": [{"path": "train.jsonl", "windowed": 0.6}],
            },
            "policy.reward.silence must not be below 0",
        ),
        ({"policy.samples": 0, "policy.flag": 0.5}, "policy.flag needs policy.samples"),
        ({"policy.samples": 0, "policy.weight": "window"}, "policy.weight: window needs"),
        ({"policy.samples": 0, "policy.reward.silence": 0.5}, "policy.reward.silence needs"),
        ({"decoding.least_windows": 0.1}, "least_windows is chosen when an adapter is trained"),
        ({"policy.most_windows": 0}, "policy.most_windows must be at least 1"),
        ({"policy.reward.invented": -0.1}, "policy.reward.invented must not be below 0"),
        (
            {f"policy.reward.{name}": 0 for name in ("rouge1", "rouge2", "rougeL", "focus")},
            "policy.reward needs a share",
        ),
        ({"adapter.use_dora": True}, "policy.samples and use_dora exclude each other"),
        ({"adapter.method": "full", "adapter.init_from": None}, "policy.samples needs method"),
        ({"distillation.teachers": ["models/radiology"]}, "distillation.teachers exclude"),
    ],
)
def test_policies_that_cannot_be_are_refused(wrong, sentence):
    plain = {"adapter.use_rslora": False, "adapter.mixed": {}, "policy.flag": 0.0}
    given = {"policy.samples": 4, **plain, **wrong}
    with pytest.raises(RecipeError, match=sentence):
        load_recipe("radiology", given)


def test_a_causal_model_draws_nothing():
    with pytest.raises(RecipeError, match="policy.samples needs architecture: seq2seq"):
        load_recipe("radiology-mediphi-qlora", {"policy.samples": 4})
