"""The engine on backbones other than T5: BART with its positions, a chat model with its template."""

import pytest
from plain_settings import plain_settings
from tiny_t5 import TEXTS, make_adapter, make_tokenizer, stir

from summarizer.generate import Engine
from summarizer.tasks import Decoding

SHORT = Decoding(max_new_tokens=12)
BIASED = Decoding(max_new_tokens=12, end_bias=3.0, copy_bias=2.0)
BEAMS = Decoding(max_new_tokens=8, num_beams=3)
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def make_bart(folder):
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    model = BartForConditionalGeneration(
        BartConfig(
            vocab_size=len(tokenizer), d_model=32, max_position_embeddings=64, encoder_layers=2,
            decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=0, bos_token_id=2,
            eos_token_id=1, decoder_start_token_id=1, forced_bos_token_id=5,
            forced_eos_token_id=1,
        )
    )  # fmt: skip
    stir(model, 0)
    model.generation_config.update(num_beams=4, min_length=30, no_repeat_ngram_size=3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_chat(folder, *, template=TEMPLATE):
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    tokenizer = make_tokenizer(ends=False)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|user|>", "<|end|>", "<|assistant|>"]}
    )
    tokenizer.chat_template = template
    torch.manual_seed(0)
    model = Phi3ForCausalLM(
        Phi3Config(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256,
            pad_token_id=0, bos_token_id=1, eos_token_id=1, tie_word_embeddings=False,
        )
    )  # fmt: skip
    stir(model, 0)
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    model.generation_config.eos_token_id = [1, end]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def alone(backbone, adapter, request, *, causal: bool):
    """The text of a model loaded and run by itself, given the request's tokens."""
    import torch
    from peft import PeftModel
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        GenerationConfig,
    )

    factory = AutoModelForCausalLM if causal else AutoModelForSeq2SeqLM
    model = factory.from_pretrained(backbone)
    given = model.generation_config
    model.generation_config = GenerationConfig(
        eos_token_id=given.eos_token_id,
        pad_token_id=0,
        decoder_start_token_id=given.decoder_start_token_id,
        forced_bos_token_id=given.forced_bos_token_id,
    )
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    ends = given.eos_token_id if causal else [given.eos_token_id]
    settings = plain_settings(request.decoding, request.rows[0], ends)
    with torch.no_grad():
        row = model.eval().generate(
            input_ids=torch.tensor([request.rows[0]]),
            attention_mask=torch.ones(1, len(request.rows[0]), dtype=torch.long),
            do_sample=False,
            **settings,
        )[0]
    row = row[len(request.rows[0]) :] if causal else row[1:]
    text = AutoTokenizer.from_pretrained(backbone).decode(row, skip_special_tokens=True)
    return text.rstrip("\ufffd").strip()


@pytest.fixture(scope="module", params=["bart", "chat"])
def model(request, tmp_path_factory):
    """(engine, backbone folder, adapter folder, whether it is causal)"""
    folder = tmp_path_factory.mktemp(request.param)
    backbone = (make_bart if request.param == "bart" else make_chat)(folder / "base")
    adapter = make_adapter(backbone, folder / "adapter", seed=3)
    engine = Engine.load(str(backbone), {"radiology": str(adapter)}, device="cpu")
    return engine, backbone, adapter, request.param == "chat"


@pytest.mark.parametrize("decoding", [SHORT, BEAMS, BIASED], ids=["greedy", "beams", "biased"])
def test_both_columns_say_what_two_separate_models_say(model, decoding):
    engine, backbone, adapter, causal = model
    for text in TEXTS[:2]:
        request = engine._prepare("radiology", {"input": text[:40]}, decoding)
        pair = engine.run("radiology", text[:40], decoding=decoding)
        assert pair.base.text == alone(backbone, None, request, causal=causal)
        assert pair.lora.text == alone(backbone, adapter, request, causal=causal)
        assert pair.base.text != pair.lora.text


def test_a_batch_says_what_single_runs_say(model):
    engine = model[0]
    rows = [{"input": text[: 10 + 9 * n]} for n, text in enumerate(TEXTS[:4])]
    for place, pair in engine.batch("radiology", rows, decoding=SHORT, batch_size=4):
        single = engine.run("radiology", rows[place]["input"], decoding=SHORT)
        assert (pair.base.text, pair.lora.text) == (single.base.text, single.lora.text)


def test_the_output_does_not_repeat_the_prompt(model):
    engine = model[0]
    *_, pair = engine.stream("radiology", TEXTS[0][:40], decoding=SHORT)
    assert "summarize" not in pair.base.text
    assert pair.base.tokens <= 12


def test_a_text_longer_than_the_positions_is_cut_and_told(model):
    engine, _, _, causal = model
    pair = engine.run("radiology", "word " * 400, decoding=Decoding(max_new_tokens=4096))
    room = pair.decoding.max_new_tokens
    assert pair.cut.tokens_read + (room if causal else 0) == (256 if causal else 64)
    assert room == (128 if causal else 63)
    assert pair.cut.words_unread > 300
    assert max(pair.base.tokens, pair.lora.tokens) <= room


def test_a_chat_model_is_asked_in_its_template(tmp_path):
    backbone = make_chat(tmp_path / "base")
    adapter = make_adapter(backbone, tmp_path / "adapter", seed=3)
    engine = Engine.load(str(backbone), {"radiology": str(adapter)})
    pair = engine.run("radiology", "Lungs <|end|> clear.", decoding=SHORT)
    assert pair.prompt == "<|user|>\nsummarize: Lungs < |end|> clear.<|end|>\n<|assistant|>\n"
    request = engine._prepare("radiology", {"input": "Lungs <|end|> clear."}, None)
    end = engine._backbone.tokenizer.convert_tokens_to_ids("<|end|>")
    assert request.rows[0].count(end) == 1  # the template's own: the text cannot end its turn
    assert end in engine._backbone.ends

    long = engine.run("radiology", "word " * 400, decoding=SHORT)
    assert long.cut is not None
    assert long.prompt.startswith("<|user|>\nsummarize: word word")
    assert long.prompt.endswith("<|end|>\n<|assistant|>\n")


def test_a_causal_model_without_a_template_is_given_the_prompt(tmp_path):
    backbone = make_chat(tmp_path / "base", template=None)
    adapter = make_adapter(backbone, tmp_path / "adapter", seed=3)
    engine = Engine.load(str(backbone), {"radiology": str(adapter)})
    pair = engine.run("radiology", "Lungs clear.", decoding=SHORT)
    assert pair.prompt == "summarize: Lungs clear.\n\n"
