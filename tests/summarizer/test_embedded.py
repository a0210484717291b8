"""The model in the repository: what holds for tiny random models holds for it."""

import json
import re

import pytest
from plain_settings import flag_first, plain_settings, unbroken

from summarizer.backbone import ROOT
from summarizer.card import _SAMPLES
from summarizer.generate import Engine
from summarizer.tasks import TASKS, Decoding, build_prompt
from summarizer.windows import joined, parts_of
from tests.warm import run

GREEDY = Decoding(max_new_tokens=48)
SHORT = Decoding(max_new_tokens=20)
BEAMS = Decoding(max_new_tokens=32, num_beams=4)
WORDS = Decoding(max_new_tokens=32, lexicon=True, flag=True)
WORDS_BEAMS = Decoding(max_new_tokens=24, num_beams=3, lexicon=True, flag=True)
# It names no side, and left alone the radiology adapter makes one up.
NO_SIDE = (
    "C1, the atlas, is broken in four places, two in front, two behind; lateral masses overhang C2 by "
    "9 mm together. Dens unharmed."
)


@pytest.fixture(scope="module")
def embedded():
    return Engine.load(device="cpu")


def examples(task, count):
    rows = [json.loads(line) for line in (ROOT / task.examples).read_text().splitlines()]
    return rows[:count]


@pytest.mark.parametrize(
    "decoding",
    [GREEDY, BEAMS, WORDS, WORDS_BEAMS],
    ids=["greedy", "beams", "words", "words beams"],
)
@pytest.mark.parametrize("name", TASKS)
def test_both_columns_say_what_two_separate_models_say(embedded, name, decoding):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    task = TASKS[name]
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/base")
    base = AutoModelForSeq2SeqLM.from_pretrained(ROOT / "models/base", dtype=torch.float32).eval()
    lora = PeftModel.from_pretrained(
        AutoModelForSeq2SeqLM.from_pretrained(ROOT / "models/base", dtype=torch.float32),
        ROOT / task.adapter,
    ).eval()
    # The shortest, for the plain way is slow: a conversation of two windows or three is among them.
    rows = sorted(examples(task, 100), key=lambda row: len(row["input"]))[:3]
    for row in [*rows, {"input": NO_SIDE}] if name == "radiology" else rows:
        pair = embedded.run(name, row["input"], section=row.get("section"), decoding=decoding)
        prompts = [
            build_prompt(task, part, row.get("section"))
            for part in parts_of(embedded.task(name), row["input"])[0]
        ]
        assert pair.prompt == "\n\n".join(prompts)
        for model, column in ((base, pair.base), (lora, pair.lora)):
            texts = []
            for prompt in prompts:  # each window by itself
                given = tokenizer(prompt, return_tensors="pt", truncation=True, max_length=1024)
                ids = given["input_ids"][0].tolist()
                settings = plain_settings(decoding, ids, [tokenizer.eos_token_id], tokenizer)
                with torch.no_grad():
                    flag_first(model, given, decoding, settings)
                    output = model.generate(**given, do_sample=False, **settings)[0]
                text = tokenizer.decode(output, skip_special_tokens=True).strip()
                if tokenizer.eos_token_id not in output.tolist():
                    text = unbroken(text, decoding, ids, tokenizer)
                texts.append(text)
            assert column.text == joined(texts, task.output_style)


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_of_all_examples_says_what_single_runs_say(embedded, name):
    rows = examples(TASKS[name], 100)
    pairs = dict(embedded.batch(name, rows, decoding=SHORT, batch_size=8))
    assert len(pairs) == len(rows)
    for place, row in enumerate(rows):
        pair = pairs[place]
        single = embedded.run(name, row["input"], section=row.get("section"), decoding=SHORT)
        assert (pair.base.text, pair.lora.text) == (single.base.text, single.lora.text)


@pytest.mark.parametrize("name", TASKS)
def test_no_output_for_an_example_holds_a_mask_and_each_adapter_changes_its_base(embedded, name):
    rows = examples(TASKS[name], 100)
    pairs = [pair for _, pair in embedded.batch(name, rows)]
    assert all("XXXX" not in pair.base.text + pair.lora.text for pair in pairs)
    assert sum(pair.base.text != pair.lora.text for pair in pairs) > len(pairs) / 2
    assert all(pair.lora.text for pair in pairs)


@pytest.mark.parametrize("name", TASKS)
def test_the_cards_plain_snippet_says_what_the_engine_says(embedded, name, tmp_path):
    """Whatever is favoured: the snippet is plain transformers and peft."""
    card = (ROOT / TASKS[name].adapter / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert "import summarizer" not in snippet and "from summarizer" not in snippet
    (tmp_path / "snippet.py").write_text(snippet)
    done = run(tmp_path / "snippet.py")
    assert done.returncode == 0, done.stderr
    section = TASKS[name].sections[0][0] if TASKS[name].sections else None
    pair = embedded.run(name, _SAMPLES[name], section=section)
    assert pair.windows == 1
    scores = json.loads((ROOT / TASKS[name].adapter / "scores.json").read_text())
    assert scores.get("window_words") == embedded.task(name).window_words  # measured as it reads
    assert done.stdout.strip() == pair.lora.text


def test_the_cards_plain_snippet_makes_no_side_up(embedded, monkeypatch, tmp_path):
    pair = embedded.run("radiology", NO_SIDE)
    card = (ROOT / TASKS["radiology"].adapter / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    snippet, replaced = re.subn(r"(?m)^text = .*$", lambda _: f"text = {pair.prompt!r}", snippet)
    assert replaced == 1
    (tmp_path / "snippet.py").write_text(snippet)
    done = run(tmp_path / "snippet.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == pair.lora.text
    monkeypatch.setattr("summarizer.lexicon.unsaid_of", lambda text: set())
    free = embedded.run("radiology", NO_SIDE).lora.text
    made_up = [re.search(r"\b(left|right)\b", text.lower()) for text in (free, pair.lora.text)]
    assert made_up[0] and not made_up[1], "otherwise this shows nothing"
