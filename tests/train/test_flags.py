"""Targets that begin with a flag for normal or abnormal."""

import pytest
from transformers import AutoTokenizer

from summarizer.flag import token_ids
from train.errors import RecipeError
from train.recipe import load_recipe
from train.tokens import Encoder


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained("models/base")


def recipe(**more):
    return load_recipe("radiology", {"data.flag_weight": 4.0, **more})


def test_a_target_begins_with_its_flag(tokenizer):
    normal, abnormal = token_ids(tokenizer)
    encoder = Encoder(recipe(), tokenizer)
    ids, long = encoder.target("1. No acute disease. 2. Emphysema.")
    assert ids[0] == abnormal and ids[-1] == tokenizer.eos_token_id and not long
    assert tokenizer.decode(ids, skip_special_tokens=True) == "1. No acute disease. 2. Emphysema."
    assert encoder.target("No acute disease.")[0][0] == normal
    unflagged = {"data.flag_weight": None, "decoding.flag": False, "policy.flag": 0.0}
    plain = Encoder(recipe(**unflagged), tokenizer)
    assert plain.target("No acute disease.")[0] == encoder.target("No acute disease.")[0][1:]
    short = Encoder(recipe(max_target_tokens=4), tokenizer)
    assert short.target("1. No acute disease. 2. Emphysema.") == (ids[:4], True)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"data.flag_weight": 0.0}, "flag_weight must be above 0"),
        ({"data.flag_weight": None, "decoding.flag": True}, "decoding.flag needs flag_weight"),
        ({"architecture": "causal"}, "with a causal model"),
    ],
)
def test_flags_that_cannot_be_are_refused(wrong, sentence):
    with pytest.raises(RecipeError, match=sentence):
        recipe(**wrong)


def test_flags_are_for_radiology():
    with pytest.raises(RecipeError, match="not for question"):
        load_recipe("question", {"data.flag_weight": 4.0})
