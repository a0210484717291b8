"""Texts flagged as abnormal do not begin with what is not there."""

import json

import pytest
import torch

from summarizer.backbone import ROOT, ModelError, generate_arguments, load_backbone
from summarizer.flag import PENALTY, TOKENS, FlagKept, token_ids
from summarizer.generate import Engine
from summarizer.tasks import Decoding


@pytest.fixture(scope="module")
def base():
    return load_backbone(str(ROOT / "models/base"))


@pytest.fixture(scope="module")
def flags(base):
    return token_ids(base.tokenizer)


def held(base, *written):
    """For each of these beginnings (flag, text) the words that lose the penalty."""
    rows = []
    for flag, text in written:
        ids = base.tokenizer(text, add_special_tokens=False)["input_ids"]
        rows.append([0, flag, *ids])
    scores = FlagKept(base.tokenizer)(torch.tensor(rows), torch.zeros(len(rows), 8192))
    assert set(scores.unique().tolist()) <= {0.0, -PENALTY}
    words = [base.tokenizer.decode([token]).strip() for token in range(8192)]
    return [{words[at] for at in row.nonzero().flatten().tolist()} for row in scores]


def test_only_what_is_flagged_as_abnormal_is_held_to_it(base, flags):
    normal, abnormal = flags
    none, some = held(base, (normal, ""), (abnormal, ""))
    assert none == set()
    assert {"No", "no", "Normal", "clear"} <= some
    assert not {"Nor", "N", "1", ".", ""} & some


def test_it_holds_behind_the_number_of_the_first_point_and_no_further(base, flags):
    _, abnormal = flags
    assert held(base, (abnormal, "1.")) == held(base, (abnormal, ""))
    assert held(base, (abnormal, "2.")) == [set()]
    assert held(base, (abnormal, "1. Stable")) == [set()]
    assert held(base, (abnormal, "Stable. ")) == [set()]
    assert held(base, (abnormal, "Stable cardiomegaly. No acute disease. Then")) == [set()]


def test_nothing_is_held_before_there_is_a_flag(base, flags):
    scores = torch.rand(2, 8192)
    kept = FlagKept(base.tokenizer)
    assert torch.equal(kept(torch.zeros(2, 1, dtype=torch.long), scores), scores)
    beams = kept(torch.tensor([[0, flags[1]], [0, 7]]), scores)
    assert not torch.equal(beams[0], scores[0]) and torch.equal(beams[1], scores[1])


def test_beams_begin_with_the_likeliest_token_alone(base, flags):
    scores = torch.rand(4, 8192)
    first = FlagKept(base.tokenizer, num_beams=2)(torch.zeros(4, 1, dtype=torch.long), scores)
    assert torch.equal(first.argmax(1), scores.argmax(1))
    assert torch.equal(first.amax(1), scores.amax(1)) and (first > -1e8).sum() == 4
    later = torch.tensor([[0, flags[1]], [0, 7]])
    kept = FlagKept(base.tokenizer)(later, scores[:2])
    assert torch.equal(FlagKept(base.tokenizer, num_beams=2)(later, scores[:2]), kept)


def test_a_tokenizer_without_flags_is_refused_in_one_sentence(base):
    class Plain:
        def get_added_vocab(self):
            return {TOKENS[0]: 3}

    assert token_ids(Plain()) is None
    with pytest.raises(ValueError, match="<extra_id_0> and <extra_id_1>"):
        FlagKept(Plain())
    with pytest.raises(ModelError, match="no token for it"):
        generate_arguments(Decoding(flag=True), [1], [[5]], tokenizer=Plain())


def test_no_flag_is_shown(base, flags):
    assert base.text_of([flags[1], *base.tokenizer("Stable.")["input_ids"]]) == "Stable."
    told = base.tokenizer("<extra_id_1>No.")["input_ids"]
    assert not set(flags) & set(told)  # a text cannot write one


def test_the_released_adapter_flags_every_example_and_the_page_shows_none(flags):
    engine = Engine.load(
        str(ROOT / "models/base"), {"radiology": str(ROOT / "models/radiology")}, device="cpu"
    )
    lines = (ROOT / "examples/radiology.jsonl").read_text(encoding="utf-8").splitlines()
    begun = []
    for row in map(json.loads, lines):
        request = engine._prepare("radiology", row, None)
        made = engine._generate("radiology", ["lora"], [request.rows], request.decoding, ())
        begun += [one[0] for one in made]
        assert "extra_id" not in " ".join(map(engine._backbone.text_of, made))
    assert set(begun) == set(flags)  # some are normal, some are not, all say so first


def test_the_engine_loads_no_flagging_adapter_for_a_base_without_flags(monkeypatch):
    import summarizer.generate as engine

    task = Engine.load(str(ROOT / "models/base"), {"radiology": str(ROOT / "models/radiology")})
    assert task.task("radiology").decoding.flag
    monkeypatch.setattr(engine, "token_ids", lambda tokenizer: None)
    with pytest.raises(ModelError, match="begins with a flag"):
        Engine.load(str(ROOT / "models/base"), {"radiology": str(ROOT / "models/radiology")})
