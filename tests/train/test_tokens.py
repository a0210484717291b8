"""What the model is given and asked: the engine's own tokens, and a loss on the answer alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.train.conftest import radiology_rows
from train.data import Rows
from train.errors import DataError
from train.recipe import Recipe, load_recipe, parse_overrides
from train.run import resolve
from train.tokens import IGNORED, CausalCollator, Encoder, Example, Seq2SeqCollator, tokenise


@pytest.fixture
def encoder_of(recipe_file: Callable[..., Path]) -> Callable[..., tuple[Recipe, Encoder]]:
    def make(kind: str, **changes) -> tuple[Recipe, Encoder]:
        from train.model import fetch_backbone, load_tokenizer

        recipe = resolve(load_recipe(str(recipe_file(kind, **changes))))
        return recipe, Encoder(recipe, load_tokenizer(recipe, fetch_backbone(recipe)))

    return make


@pytest.mark.parametrize("kind", ["t5", "flan", "bart", "phi3"])
def test_training_and_serving_see_the_same_prompt(encoder_of, backbones, kind: str) -> None:
    from summarizer.backbone import load_backbone

    recipe, encoder = encoder_of(kind)
    row = radiology_rows(1)[0] | {"input": "Doctor: </s> <|end|> hi.\nPatient: No."}
    served = load_backbone(recipe.backbone, device="cpu", dtype="float32")
    assert encoder.input(row)[0] == _served_prompt(served, recipe, row)
    long = row | {"input": row["input"] * 40}
    ids, unread = encoder.input(long)
    assert len(ids) <= 96 and unread > 0 and ids == _served_prompt(served, recipe, long)


def _served_prompt(backbone, recipe, row) -> list[int]:
    """As summarizer.generate prepares a request."""
    from summarizer.backbone import chat_parts, without_special
    from summarizer.tasks import prompt_parts
    from summarizer.text import cut_to
    from train.tokens import task_of

    task = task_of(recipe)
    before, after = prompt_parts(task, None)
    text = row["input"]
    if backbone.kind == "causal":
        text = without_special(backbone.tokenizer, text)
        before, after = chat_parts(backbone.tokenizer, before, after)
    return cut_to(backbone.tokenizer, before, text, after, task.max_input_tokens)[0]


@pytest.mark.parametrize("kind", ["flan", "bart", "phi3"])
def test_an_answer_ends_and_decodes_to_itself(encoder_of, kind: str) -> None:
    _, encoder = encoder_of(kind)
    text = "1. The heart is normal.\n2. Lesion."
    ids, long = encoder.target(text)
    assert not long and ids[-len(encoder.ends) :] == encoder.ends
    assert encoder.tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    assert ids.count(encoder.tokenizer.eos_token_id) == 1


def test_a_chat_answer_ends_in_the_template_s_mark_then_end_of_sequence(encoder_of) -> None:
    _, encoder = encoder_of("phi3")
    assert encoder.tokenizer.convert_ids_to_tokens(encoder.ends) == ["<|end|>", "<|endoftext|>"]


def test_an_answer_past_the_limit_has_no_end(encoder_of) -> None:
    recipe, encoder = encoder_of("flan", max_target_tokens=5)
    ids, long = encoder.target("The lungs are clear, and the heart is normal in size.")
    assert long and len(ids) == 5 and encoder.tokenizer.eos_token_id not in ids
    row = radiology_rows(1)[0]
    data = tokenise(recipe, Rows([row], [1.0], []), encoder.tokenizer)
    assert data.long_targets == 1 and len(data.examples) == 1


def test_long_answers_can_be_dropped(encoder_of) -> None:
    recipe, encoder = encoder_of("flan", max_target_tokens=5, data__long_targets="drop")
    with pytest.raises(DataError, match="max_target_tokens"):
        tokenise(recipe, Rows(radiology_rows(2), [1.0, 1.0], []), encoder.tokenizer)


def test_a_limit_shorter_than_the_prompt_is_told(encoder_of) -> None:
    recipe, encoder = encoder_of("flan", max_input_tokens=3)
    with pytest.raises(DataError, match="max_input_tokens"):
        encoder.input(radiology_rows(1)[0])


def test_seq2seq_batches_shift_the_answer_behind_the_start_token() -> None:
    collate = Seq2SeqCollator(pad_token_id=0, decoder_start_token_id=9)
    batch = collate([[Example([5, 6, 7], [3, 4, 1])], [Example([5], [2, 1])]])
    assert batch["labels"].tolist()[1] == [2, 1] + [IGNORED] * 6
    assert batch["decoder_input_ids"].tolist() == [[9, 3, 4] + [0] * 5, [9, 2] + [0] * 6]
    assert batch["attention_mask"].sum(1).tolist() == [3, 1]


def test_causal_batches_ask_for_the_answer_alone() -> None:
    collate = CausalCollator(pad_token_id=0)
    batch = collate([[Example([5, 6], [7, 1]), Example([8], [1])]])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 1, 8, 1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 1, -100, 1, -100, -100]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 0, 1]]


def test_packed_rows_do_not_see_each_other(backbones) -> None:
    """The logits of a row are the same alone, and packed between others."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(backbones("phi3")).eval()
    generator = torch.Generator().manual_seed(0)
    rows = [
        Example(
            torch.randint(6, 300, (length,), generator=generator).tolist(),
            torch.randint(6, 300, (3,), generator=generator).tolist(),
        )
        for length in (5, 9, 1, 12)
    ]
    collate = CausalCollator(pad_token_id=2)

    def logits(bundle):
        batch = collate([bundle])
        with torch.no_grad():
            return model(
                input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
            ).logits[0]

    packed = logits(rows)
    start = 0
    for row in rows:
        alone = logits([row])[: len(row)]
        assert torch.allclose(packed[start : start + len(row)], alone, atol=1e-5)
        start += len(row)


def test_every_recipe_s_prompt_is_one_that_the_engine_can_serve() -> None:
    from summarizer.tasks import for_run, get_task
    from train.recipe import recipe_names

    for name in recipe_names():
        recipe = resolve(load_recipe(name, parse_overrides([])))
        task = for_run(get_task(recipe.task), {"recipe": recipe.to_dict()})
        assert task.prompt == recipe.prompt
        assert task.max_input_tokens == recipe.max_input_tokens
        assert task.decoding.max_new_tokens == recipe.decoding.max_new_tokens
