"""The engine: both columns in one pass say what two separate runs say, whatever happens."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from plain_settings import plain_settings, unbroken
from tiny_t5 import TEXTS, make_adapter

from summarizer.backbone import (
    ModelError,
    fuse_activations,
    load_adapters,
    load_backbone,
    slice_mixed_batches,
)
from summarizer.generate import Engine, Pair, _Arrival, _Columns, batches, until_end
from summarizer.tasks import TASKS, Decoding, UnknownTask
from summarizer.text import InputError

SHORT = Decoding(max_new_tokens=16)
BEAMS = Decoding(max_new_tokens=10, num_beams=3, length_penalty=0.8)
BIASED = Decoding(max_new_tokens=16, end_bias=2.5, no_repeat_ngram_size=2)
COPYING = Decoding(max_new_tokens=16, end_bias=-1, copy_bias=4)
COPYING_BEAMS = Decoding(max_new_tokens=10, num_beams=3, copy_bias=4)
WORDS = Decoding(max_new_tokens=16, copy_bias=4, lexicon=True)
WORDS_BEAMS = Decoding(max_new_tokens=10, num_beams=3, lexicon=True)
# so long that a test which stops it would notice if it did not
LONG = Decoding(max_new_tokens=400, min_new_tokens=400)


@pytest.fixture(scope="module")
def alone(tiny):
    """What a model run by itself writes: alone(task or None for the base, prompt, decoding)."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.backbone)
    models = {None: AutoModelForSeq2SeqLM.from_pretrained(tiny.backbone).eval()}
    for task, path in tiny.adapters.items():
        base = AutoModelForSeq2SeqLM.from_pretrained(tiny.backbone)
        models[task] = PeftModel.from_pretrained(base, path).eval()

    def run(task, prompt, decoding):
        given = tokenizer(prompt, return_tensors="pt")
        settings = plain_settings(decoding, given["input_ids"][0].tolist(), [1], tokenizer)
        with torch.no_grad():
            row = models[task].generate(**given, do_sample=False, **settings)[0].tolist()[1:]
        tokens = row[: row.index(1)] if 1 in row else row
        text = tokenizer.decode(tokens, skip_special_tokens=True).rstrip("\ufffd").strip()
        if 1 not in row:
            text = unbroken(text, decoding, given["input_ids"][0].tolist(), tokenizer)
        return text, len(tokens)

    return run


def texts_of(pair: Pair) -> tuple[str, str]:
    return pair.base.text, pair.lora.text


def steps(engine: Engine, at: int, action) -> "object":
    """Calls `action` when the decoder runs for the `at`-th time from now; remove() when done."""
    count = 0

    def hook(*_):
        nonlocal count
        count += 1
        if count == at:
            action()

    return engine._model.get_base_model().decoder.register_forward_pre_hook(hook)


# --- equality with separate runs ----------------------------------------------------------------


@pytest.mark.parametrize(
    "decoding",
    [SHORT, BEAMS, BIASED, COPYING, COPYING_BEAMS, WORDS, WORDS_BEAMS],
    ids=["greedy", "beams", "biased", "copying", "copying beams", "words", "words beams"],
)
@pytest.mark.parametrize("task", TASKS)
def test_both_columns_say_what_two_separate_models_say(engine, alone, task, decoding):
    differing = 0
    for text in TEXTS:
        pair = engine.run(task, text, decoding=decoding)
        assert (pair.base.text, pair.base.tokens) == alone(None, pair.prompt, decoding)
        assert (pair.lora.text, pair.lora.tokens) == alone(task, pair.prompt, decoding)
        differing += pair.base.text != pair.lora.text
    assert differing >= 3  # the adapters do something


def test_eight_requests_at_once_are_each_their_single_user_answer(engine):
    requests = [(task, text) for task in TASKS for text in TEXTS][:8]
    single = [texts_of(engine.run(task, text, decoding=SHORT)) for task, text in requests]

    def ask(request):
        return texts_of(engine.run(*request, decoding=SHORT))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, requests)) == single


@pytest.mark.parametrize(
    ("decoding", "batch_size"), [(SHORT, 1), (SHORT, 3), (SHORT, 8), (BEAMS, 3), (WORDS, 3)]
)
def test_a_batch_says_what_single_runs_say(engine, decoding, batch_size):
    rows = [
        {"input": text[: 20 + 9 * n], "section": "CC"} for n, text in enumerate(TEXTS + TEXTS[:1])
    ]
    found = dict(engine.batch("dialogue", rows, decoding=decoding, batch_size=batch_size))
    assert sorted(found) == list(range(len(rows)))
    for place, row in enumerate(rows):
        single = engine.run("dialogue", row["input"], section="CC", decoding=decoding)
        assert texts_of(found[place]) == texts_of(single)
        assert found[place].prompt == single.prompt
        assert found[place].base.finish == single.base.finish
        assert found[place].lora.tokens == single.lora.tokens


def test_a_large_batch_says_the_same_and_leaves_the_model_as_it_was(engine):
    """Beyond `_MIXED_ROWS` each column has a pass of its own."""
    before = engine.run("dialogue", TEXTS[0], decoding=SHORT)
    texts = [f"{text} {number}." for number in range(8) for text in TEXTS[:3]]
    rows = [{"input": text} for text in texts]
    found = dict(engine.batch("radiology", rows, decoding=SHORT, batch_size=24))
    for place, text in enumerate(texts):
        single = engine.run("radiology", text, decoding=SHORT)
        assert found[place].base.text == single.base.text
        assert found[place].lora.text == single.lora.text
    again = engine.run("dialogue", TEXTS[0], decoding=SHORT)
    assert (again.base.text, again.lora.text) == (before.base.text, before.lora.text)


def test_fused_activations_are_those_of_transformers():
    import torch
    from transformers.activations import NewGELUActivation

    plain, fused = (load_backbone("models/base").model for _ in range(2))
    assert any(type(module) is NewGELUActivation for module in plain.modules())
    fuse_activations(fused)
    assert not any(type(module) is NewGELUActivation for module in fused.modules())
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        ours, theirs = (m(input_ids=ids, decoder_input_ids=ids).logits for m in (fused, plain))
    assert torch.allclose(ours, theirs, atol=1e-4, rtol=0)


def test_a_sliced_mixed_batch_is_peft_s_own(tiny):
    import torch

    loaded = load_backbone(tiny.backbone)
    model, _ = load_adapters(loaded, tiny.adapters)
    one, other = list(tiny.adapters)[:2]
    orders = [
        ["__base__"] * 3 + [one] * 3,
        [one] * 6,
        ["__base__"] * 6,
        [one, "__base__", other, one, "__base__", "__base__"],
    ]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 40, (6, 12), generator=generator)
    given = {"input_ids": ids, "decoder_input_ids": ids[:, :5]}
    with torch.inference_mode():
        theirs = [model(**given, adapter_names=names).logits for names in orders]
        slice_mixed_batches(model)
        ours = [model(**given, adapter_names=names).logits for names in orders]
    assert not torch.equal(theirs[1], theirs[2])
    for sliced, gathered in zip(ours, theirs, strict=True):
        assert torch.allclose(sliced, gathered, atol=1e-5, rtol=0)
    sliced = [m for m in model.modules() if "_mixed_batch_forward" in vars(m)]
    assert len(sliced) == sum(hasattr(module, "lora_A") for module in model.modules()) > 0


def test_an_adapter_that_cannot_share_a_batch_runs_by_itself(tiny, tmp_path, alone):
    """DoRA scales the base's own weights, which PEFT does not do in a mixed batch."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM

    path = make_adapter(Path(tiny.backbone), tmp_path / "dora", seed=9, use_dora=True)
    adapters = {"radiology": str(path), "dialogue": tiny.adapters["dialogue"]}
    engine = Engine.load(tiny.backbone, adapters)
    assert not engine.adapters["radiology"].mixes
    other = PeftModel.from_pretrained(
        AutoModelForSeq2SeqLM.from_pretrained(tiny.backbone), path
    ).eval()
    for text in TEXTS:
        pairs = list(engine.stream("radiology", text, decoding=SHORT))
        pair = pairs[-1]
        with torch.no_grad():
            ids = torch.tensor([engine._prepare("radiology", {"input": text}, SHORT).rows[0]])
            row = other.generate(input_ids=ids, max_new_tokens=16)[0].tolist()[1:]
        assert pair.lora.text == engine._backbone.text_of(until_end(row, {1})[0])
        assert pair.base.text == alone(None, pair.prompt, SHORT)[0]
        # and the other adapter is none the worse
        [(_, batched)] = engine.batch("radiology", [{"input": text}], decoding=SHORT)
        assert texts_of(batched) == texts_of(pair)
        mixed = engine.run("dialogue", text, decoding=SHORT)
        assert mixed.lora.text == alone("dialogue", mixed.prompt, SHORT)[0]


# --- streaming ----------------------------------------------------------------------------------


def test_both_columns_grow_together_and_the_last_is_final(engine):
    both = Decoding(max_new_tokens=16, min_new_tokens=8)  # neither ends before that
    # A slow consumer is handed the newest step: on a busy machine the model must not outrun it.
    model = engine._model.get_base_model()
    slowed = model.register_forward_pre_hook(lambda *_: time.sleep(0.02))
    try:
        pairs = list(engine.stream("radiology", TEXTS[1], decoding=both))
    finally:
        slowed.remove()
    final = pairs[-1]
    assert texts_of(final) == texts_of(engine.run("radiology", TEXTS[1], decoding=both))
    assert {final.base.finish, final.lora.finish} <= {"end", "length"}
    for before, after in zip(pairs, pairs[1:]):
        for column in ("base", "lora"):
            one, other = getattr(before, column), getattr(after, column)
            assert other.text.startswith(one.text)
            assert other.tokens >= one.tokens
            assert one.finish in ("running", "end")
            assert one.finish == "running" or one == other  # what has ended stays as it is
    assert sum(pair.base.tokens == pair.lora.tokens for pair in pairs) >= 4


def test_a_column_that_ends_first_keeps_its_own_time(engine):
    for task, text in ((task, text) for task in TASKS for text in TEXTS):
        pair = engine.run(task, text, decoding=Decoding(max_new_tokens=40))
        if {pair.base.finish, pair.lora.finish} == {"end", "length"}:
            ended, other = sorted((pair.base, pair.lora), key=lambda column: column.finish)
            assert ended.tokens < other.tokens == 40
            assert ended.seconds < other.seconds
            return
    pytest.fail("no text of the tests ends in one column only")


def test_beams_show_what_leads_until_they_end(engine):
    """Each step's likeliest beam, as a plain search that is stopped there has it."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    seen = []

    class Likeliest(StoppingCriteria):
        def __call__(self, input_ids, scores, **_):
            first = input_ids[:: len(input_ids) // 2, 1:].tolist()  # base, then adapter
            seen.append([engine._backbone.text_of(until_end(row, ends)[0]) for row in first])
            return torch.zeros(len(input_ids), dtype=torch.bool)

    ends = engine._backbone.ends
    reading = engine._prepare("radiology", {"input": TEXTS[0]}, BEAMS)
    ids, mask = engine._backbone.pad(reading.rows * 2)
    with torch.inference_mode():
        engine._model.generate(
            input_ids=ids,
            attention_mask=mask,
            adapter_names=["__base__", "radiology"],
            num_beams=BEAMS.num_beams,
            max_new_tokens=BEAMS.max_new_tokens,
            length_penalty=BEAMS.length_penalty,
            do_sample=False,
            stopping_criteria=StoppingCriteriaList([Likeliest()]),
        )
    *growing, last = engine.stream("radiology", TEXTS[0], decoding=BEAMS)
    shown = [texts_of(pair) for pair in growing if any(texts_of(pair))]
    assert len(shown) > 1 and all(pair.base.finish == "running" for pair in growing)
    for column in (0, 1):
        steps_of = [texts[column] for texts in seen]
        assert {texts[column] for texts in shown} <= {"", *steps_of}
    assert last.base.text and last.base.finish in ("end", "length")


def test_what_a_search_has_found_stays_until_another_ends(engine):
    request = engine._prepare("radiology", {"input": TEXTS[0]}, BEAMS)
    columns = _Columns(engine._backbone, request, "prose")
    (end,) = engine._backbone.ends
    one, other = engine._backbone.tokenizer("clear lungs")["input_ids"][:-1][:2]
    row = ("lora", 0)

    def shown(*tokens):
        columns.add(_Arrival(leading={row: list(tokens)}))
        return columns.growing().lora

    first = shown(one)
    assert first.tokens == 1 and first.finish == "running"
    assert shown(one, other).tokens == 2
    assert shown(one, end).tokens == 1  # a shorter text has ended
    assert shown(one, other, other).tokens == 1  # it is led by none that has not
    assert shown(one, other, other, end).tokens == 3


def test_no_half_character_is_shown(engine):
    text = "é 😀👍🏽 한글 end"
    tokens = engine._backbone.tokenizer(text)["input_ids"][:-1]
    shown = [engine._backbone.text_of(tokens[:n]) for n in range(len(tokens) + 1)]
    assert shown[-1] == text
    assert all("\ufffd" not in part and text.startswith(part) for part in shown)


# --- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 3])
def test_a_stop_ends_both_columns_within_a_step(engine, beams):
    cancel = threading.Event()
    decoding = Decoding(max_new_tokens=400, min_new_tokens=400, num_beams=beams)
    hook = steps(engine, 6, cancel.set)  # in the middle of the sixth step
    try:
        *_, last = engine.stream("radiology", TEXTS[0], decoding=decoding, cancel=cancel)
    finally:
        hook.remove()
    assert (last.base.finish, last.lora.finish) == ("stopped", "stopped")
    assert last.base.tokens == last.lora.tokens == 6


@pytest.mark.parametrize("beams", [1, 3])
def test_a_stop_while_the_text_is_read_ends_within_a_layer(engine, beams):
    decoding = replace(SHORT, num_beams=beams)
    before = engine.run("radiology", TEXTS[0], decoding=decoding)
    cancel = threading.Event()
    layers = engine._model.get_base_model().get_encoder().block
    read = []
    hooks = [
        layer.register_forward_hook(lambda *_, place=place: read.append(place))
        for place, layer in enumerate(layers)
    ]
    hooks.append(layers[0].register_forward_hook(lambda *_: cancel.set()))
    try:
        *_, last = engine.stream("radiology", TEXTS[0], decoding=decoding, cancel=cancel)
        cancel.clear()
        rows = [{"input": text} for text in TEXTS]
        many = list(engine.batch("radiology", rows, decoding=decoding, cancel=cancel))
    finally:
        for hook in hooks:
            hook.remove()
    assert read == [0, 0] and len(layers) > 1 and many == []
    assert (last.base.finish, last.lora.finish) == ("stopped", "stopped")
    assert (last.base.text, last.lora.text) == ("", "")
    after = engine.run("radiology", TEXTS[0], decoding=decoding)
    assert (after.base.text, after.lora.text) == (before.base.text, before.lora.text)


def test_a_column_that_was_written_before_the_stop_is_whole(tiny, tmp_path):
    path = make_adapter(Path(tiny.backbone), tmp_path / "dora", seed=9, use_dora=True)
    engine = Engine.load(tiny.backbone, {"radiology": str(path)})  # one column after the other
    decoding = Decoding(max_new_tokens=6, min_new_tokens=6)
    cancel = threading.Event()
    hook = steps(engine, 6 + 3, cancel.set)  # in the middle of the second column's third step
    try:
        *_, last = engine.stream("radiology", TEXTS[0], decoding=decoding, cancel=cancel)
    finally:
        hook.remove()
    assert (last.base.finish, last.lora.finish) == ("length", "stopped")
    assert (last.base.tokens, last.lora.tokens) == (6, 3)


def test_a_stop_before_the_start_generates_nothing(engine):
    cancel = threading.Event()
    cancel.set()
    pair = engine.run("radiology", TEXTS[0], cancel=cancel)
    assert (pair.base.text, pair.base.tokens, pair.base.finish) == ("", 0, "stopped")


def test_a_request_that_waits_can_be_stopped(engine):
    cancel = threading.Event()
    with engine._lock:
        threading.Timer(0.1, cancel.set).start()
        pair = engine.run("radiology", TEXTS[0], cancel=cancel)
    assert pair.lora.finish == "stopped"
    assert engine.run("radiology", TEXTS[0], decoding=SHORT).lora.text


def test_a_consumer_that_goes_away_stops_the_generation_and_frees_the_model(engine):
    stream = engine.stream("radiology", TEXTS[0], decoding=LONG)
    ran_on = []
    hook = steps(engine, LONG.max_new_tokens, lambda: ran_on.append(True))
    try:
        next(stream)
        stream.close()
    finally:
        hook.remove()
    assert not ran_on
    assert not engine._lock.locked()
    assert not [thread for thread in threading.enumerate() if thread.name == "generate"]


def test_a_slow_consumer_does_not_hold_up_the_next_request(engine):
    expected = texts_of(engine.run("radiology", TEXTS[0], decoding=SHORT))
    slow = engine.stream("radiology", TEXTS[0], decoding=SHORT)
    next(slow)
    # in the same thread: this would wait for ever if the slow one held the lock
    assert engine.run("question", TEXTS[3], decoding=SHORT).base.text
    *_, last = slow
    assert texts_of(last) == expected


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoding", [SHORT, BEAMS], ids=["greedy", "beams"])
def test_an_exception_inside_generate_leaves_the_model_clean(engine, alone, decoding):
    def fail():
        raise RuntimeError("the device is on fire")

    hooks = sum(len(module._forward_pre_hooks) for module in engine._model.modules())
    for text in TEXTS[:2]:
        hook = steps(engine, 4, fail)
        try:
            with pytest.raises(RuntimeError, match="on fire"):
                engine.run("radiology", text, decoding=decoding)
        finally:
            hook.remove()
    assert sum(len(module._forward_pre_hooks) for module in engine._model.modules()) == hooks
    assert not engine._lock.locked()
    for task in TASKS:
        pair = engine.run(task, TEXTS[1], decoding=decoding)
        assert pair.base.text == alone(None, pair.prompt, decoding)[0]
        assert pair.lora.text == alone(task, pair.prompt, decoding)[0]


def test_an_exception_in_a_batch_frees_the_model(engine):
    def fail():
        raise MemoryError

    hook = steps(engine, 3, fail)
    try:
        with pytest.raises(ModelError, match="memory"):
            list(engine.batch("radiology", [{"input": TEXTS[0]}] * 2, decoding=SHORT))
    finally:
        hook.remove()
    assert engine.run("radiology", TEXTS[0], decoding=SHORT).base.text


# --- what goes in -------------------------------------------------------------------------------


def test_a_text_longer_than_the_model_reads_is_cut_and_told(engine, alone):
    text = " ".join(f"Finding {n} is normal." for n in range(400))
    pair = engine.run("radiology", text, decoding=SHORT)
    assert pair.cut.tokens_read == TASKS["radiology"].max_input_tokens
    assert pair.cut.tokens_total > 2000
    assert pair.cut.unread_text.endswith("Finding 399 is normal.")
    assert pair.cut.words_unread == len(pair.cut.unread_text.split())
    read = pair.prompt.removeprefix("summarize: ")
    assert text.startswith(read)
    assert (read + pair.cut.unread_text).replace(" ", "") == text.replace(" ", "")
    # both columns saw what the prompt says, and no more
    assert pair.lora.text == alone("radiology", pair.prompt, SHORT)[0]
    assert engine.run("radiology", read, decoding=SHORT).cut is None


def test_both_columns_see_the_cleaned_text(engine):
    dirty = "Chest x-XXXX.\u202e The XXXX heart\r\nis big. "
    pair = engine.run("radiology", dirty, decoding=SHORT)
    assert pair.prompt == "summarize: Chest x-ray. The heart\nis big."
    assert texts_of(pair) == texts_of(
        engine.run("radiology", "Chest x-ray. The heart\nis big.", decoding=SHORT)
    )


def test_special_tokens_written_in_a_text_are_text(engine):
    request = engine._prepare("radiology", {"input": "a</s>b <pad> <extra_id_0>"}, None)
    assert [token for token in request.rows[0] if token < 4] == [1]  # the end mark, at the end
    assert engine._backbone.text_of(request.rows[0]) == "summarize: a</s>b <pad> <extra_id_0>"


def test_the_section_reaches_the_prompt(engine):
    pair = engine.run("dialogue", TEXTS[2], section="FAM/SOCHX", decoding=SHORT)
    assert pair.prompt.startswith("note family and social history: Doctor:")


@pytest.mark.parametrize("text", ["", "  \n", "\x00\x01binary", "a" * 200_001])
def test_bad_text_is_refused_before_anything_runs(engine, text):
    with pytest.raises(InputError):
        engine.stream("radiology", text)
    with pytest.raises(InputError, match=r"^Row 2: "):
        engine.batch("radiology", [{"input": "fine"}, {"input": text}])


@pytest.mark.parametrize("row", [{}, {"input": None}, {"input": 3}, {"input": "a", "section": 1}])
def test_a_row_that_is_no_row_is_named(engine, row):
    with pytest.raises(InputError, match=r"^Row 1: "):
        engine.batch("radiology", [row])


@pytest.mark.parametrize("text", ["😀👍🏽", "مرحبا \u200fعالم", "y" * 3000, "<b>bold</b> **md**"])
def test_unusual_text_is_summarised(engine, text):
    assert engine.run("radiology", text, decoding=SHORT).base.tokens > 0


def test_a_task_without_an_adapter_is_refused(tiny):
    engine = Engine.load(tiny.backbone, {"question": tiny.adapters["question"]})
    with pytest.raises(ModelError, match="radiology"):
        engine.run("radiology", "a")
    with pytest.raises(UnknownTask, match="choose from"):
        engine.run("cardiology", "a")
    with pytest.raises(UnknownTask):
        Engine.load(tiny.backbone, {"cardiology": tiny.adapters["question"]})


# --- decoding -----------------------------------------------------------------------------------


def test_decoding_settings_reach_both_columns(engine):
    pair = engine.run("radiology", TEXTS[2], decoding=Decoding(max_new_tokens=3))
    assert pair.base.tokens <= 3
    assert pair.lora.tokens <= 3
    assert pair.decoding.max_new_tokens == 3
    least = Decoding(max_new_tokens=40, min_new_tokens=40)
    assert engine.run("radiology", TEXTS[2], decoding=least).lora.tokens == 40
    at_once = engine.run("radiology", TEXTS[2], decoding=Decoding(max_new_tokens=9, end_bias=10))
    never = engine.run("radiology", TEXTS[2], decoding=Decoding(max_new_tokens=40, end_bias=-10))
    assert at_once.base.tokens < never.base.tokens == 40
    assert at_once.lora.tokens < never.lora.tokens == 40
    repeated = engine.run("radiology", TEXTS[2], decoding=SHORT)
    unrepeated = engine.run(
        "radiology", TEXTS[2], decoding=Decoding(max_new_tokens=16, no_repeat_ngram_size=1)
    )
    assert texts_of(repeated) != texts_of(unrepeated)


def test_an_adapters_run_record_decides_prompt_limits_and_decoding(tiny, tmp_path):
    recipe = {
        "prompt": "impression of: {input}",
        "max_input_tokens": 32,
        "decoding": {"max_new_tokens": 5, "num_beams": 2},
    }
    path = make_adapter(Path(tiny.backbone), tmp_path / "a", seed=1, run={"recipe": recipe})
    engine = Engine.load(tiny.backbone, {"radiology": str(path)})
    pair = engine.run("radiology", TEXTS[0])
    assert pair.prompt.startswith("impression of: The heart")
    assert pair.cut.tokens_read == 32
    assert pair.decoding == Decoding(max_new_tokens=5, num_beams=2)

    bad = make_adapter(
        Path(tiny.backbone), tmp_path / "b", seed=1, run={"recipe": {"prompt": "none"}}
    )
    with pytest.raises(ModelError, match="run record"):
        Engine.load(tiny.backbone, {"radiology": str(bad)})


def test_a_batch_can_be_of_one_column_and_can_be_stopped(engine):
    rows = [{"input": text} for text in TEXTS]
    for _, pair in engine.batch("radiology", rows, decoding=SHORT, systems=("lora",)):
        assert pair.lora.tokens
        assert pair.base.tokens == 0
    cancel = threading.Event()
    done = []
    for place, _ in engine.batch("radiology", rows, decoding=SHORT, batch_size=2, cancel=cancel):
        done.append(place)
        cancel.set()
    assert len(done) == 2
    for wrong in ({"batch_size": 0}, {"systems": ()}, {"systems": ("gpt",)}):
        with pytest.raises(ValueError, match="must be"):
            engine.batch("radiology", rows, **wrong)


def test_batches_are_of_similar_length_longest_first():
    assert batches([3, 9, 1, 9, 5], 2) == [[1, 3], [4, 0], [2]]
    assert batches([], 4) == []


def test_a_record_says_what_text_was_made_with(engine, tiny):
    record = engine.record("radiology")
    assert record["backbone"] == tiny.backbone
    assert len(record["adapter_sha256"]) == len(record["backbone_sha256"]) == 64
    assert record["adapter_sha256"] != engine.record("dialogue")["adapter_sha256"]
    assert record["dtype"] == "float32"


def test_bfloat16_serves_too(tiny):
    engine = Engine.load(tiny.backbone, tiny.adapters, dtype="bfloat16")
    assert engine.dtype == "bfloat16"
    pair = engine.run("radiology", TEXTS[0], decoding=SHORT)
    assert pair.base.text
    assert pair.lora.text


def test_loading_takes_a_moment_and_prints_nothing(tiny, capfd):
    started = time.perf_counter()
    load_backbone(tiny.backbone)
    assert time.perf_counter() - started < 30
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
