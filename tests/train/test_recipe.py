"""A recipe is strict: unknown keys, wrong types and impossible combinations name their key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from summarizer.backbone import is_hub_id
from summarizer.tasks import TASKS
from train.errors import RecipeError
from train.recipe import RECIPES, Recipe, load_recipe, parse_overrides, recipe_names
from train.run import resolve
from train.strict import field_names

EMBEDDED = {
    "radiology-start",
    "radiology-second",
    "radiology-third",
    "radiology-fourth",
    "radiology-fifth",
    "radiology-sixth",
    "radiology-seventh",
    "radiology-eighth",
    "radiology",
    "dialogue-start",
    "dialogue-second",
    "dialogue-third",
    "dialogue-fourth",
    "dialogue-fifth",
    "dialogue-sixth",
    "dialogue-seventh",
    "dialogue-eighth",
    "dialogue-ninth",
    "dialogue-tenth",
    "dialogue-eleventh",
    "dialogue",
    "question-start",
    "question-second",
    "question-third",
    "question-fourth",
    "question-fifth",
    "question",
}
SEEDS = {
    "radiology-t5-small",
    "dialogue-flan-t5-base-balanced",
    "dialogue-flan-t5-base-higher-lr",
    "dialogue-flan-t5-base-conservative",
    "question-flan-t5-large",
    "question-t5-baseline",
    "question-bart-large",
    "radiology-mediphi-qlora",
}


def fault_of(*arguments: str, recipe: str = "question-flan-t5-large") -> str:
    with pytest.raises(RecipeError) as fault:
        load_recipe(recipe, parse_overrides(list(arguments)))
    message = str(fault.value)
    assert "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_opens_with_its_command(name: str) -> None:
    recipe = resolve(load_recipe(name))
    assert recipe.name == name and recipe.task in TASKS
    first = (RECIPES / f"{name}.yaml").read_text().splitlines()[0]
    assert re.search(rf"^# .*python -m train\.run {re.escape(name)}$", first), first
    assert recipe.prepare.hub or recipe.prepare.published
    assert recipe.decoding.max_new_tokens and recipe.max_target_tokens


def test_all_runs_of_the_seeds_and_a_tuned_one_for_each_backbone_are_there() -> None:
    names = set(recipe_names())
    assert SEEDS | EMBEDDED <= names
    tuned = {load_recipe(name).backbone for name in names if name.endswith("-tuned")}
    seeds = {load_recipe(name).backbone for name in SEEDS - {"question-t5-baseline"}}
    assert tuned == seeds
    for name in names - EMBEDDED:
        text = (RECIPES / f"{name}.yaml").read_text()
        assert re.search(r"[Cc]hosen|are chosen|is chosen", text), name


def test_recipes_carry_the_values_that_the_seeds_give() -> None:
    t5 = load_recipe("radiology-t5-small")
    assert (t5.adapter.lora_rank, t5.adapter.lora_alpha, t5.adapter.lora_dropout) == (16, 64, 0.1)
    assert t5.adapter.target_modules == "all-linear" and t5.prompt == "extract: {input}"
    assert (t5.training.learning_rate, t5.training.warmup, t5.training.weight_decay) == (
        5e-5,
        500,
        0.01,
    )
    assert "PhysioNet" in (t5.notice or "")
    for name, rate, batch, epochs, rank, decay in (
        ("balanced", 2e-5, 8, 3, 8, 0.01),
        ("higher-lr", 5e-5, 16, 5, 16, 0.001),
        ("conservative", 1e-5, 4, 3, 4, 0.05),
    ):
        flan = load_recipe(f"dialogue-flan-t5-base-{name}")
        assert (flan.training.learning_rate, flan.training.batch_size) == (rate, batch)
        assert (flan.training.num_epochs, flan.adapter.lora_rank) == (epochs, rank)
        assert flan.training.weight_decay == decay
    large = load_recipe("question-flan-t5-large")
    assert large.adapter.target_modules == ["q", "k", "v"] and large.adapter.lora_rank == 32
    phi = load_recipe("radiology-mediphi-qlora")
    assert (phi.adapter.lora_rank, phi.adapter.lora_alpha, phi.adapter.use_4bit) == (8, 32, True)
    assert phi.data.packing and phi.data.packed_tokens == 1024
    assert (phi.training.batch_size, phi.training.gradient_accumulation_steps) == (2, 16)
    assert (phi.training.max_grad_norm, phi.training.learning_rate) == (0.3, 2e-4)
    rules = phi.prepare
    assert (rules.min_input_characters, rules.min_target_characters) == (100, 20)
    assert rules.max_target_characters == 1000


def test_every_backbone_of_the_hub_is_pinned_to_one_commit() -> None:
    pins: dict[str, set[str | None]] = {}
    for name in recipe_names():
        recipe = load_recipe(name)
        if is_hub_id(recipe.backbone):
            pins.setdefault(recipe.backbone, set()).add(recipe.revision)
        else:
            assert recipe.revision is None
    assert len(pins) == 6
    for revisions in pins.values():
        assert len(revisions) == 1 and re.fullmatch(r"[0-9a-f]{40}", str(*revisions))


def test_another_backbone_has_another_revision() -> None:
    name = "question-flan-t5-large"
    assert load_recipe(name, {"backbone": "google/flan-t5-xl"}).revision is None
    both = load_recipe(name, {"revision": "v1", "backbone": "google/flan-t5-xl"})
    assert both.revision == "v1"


def test_the_flags_of_seed_002_are_understood() -> None:
    recipe = load_recipe(
        "dialogue-flan-t5-base-balanced",
        parse_overrides(
            "--learning_rate 5e-5 --batch_size 4 --num_epochs 3 --lora_rank 16 "
            "--gradient_accumulation_steps 4 --use_8bit True".split()
        ),
    )
    assert recipe.training.learning_rate == 5e-5 and recipe.training.batch_size == 4
    assert recipe.training.num_epochs == 3 and recipe.adapter.lora_rank == 16
    assert recipe.training.gradient_accumulation_steps == 4 and recipe.adapter.use_8bit is True


def test_any_value_can_be_overridden_by_its_name_or_path() -> None:
    recipe = load_recipe(
        "question-flan-t5-large",
        parse_overrides(
            ["--target_modules", "[q, v]", "--evaluation.batch_size=7", "--use-dora"]
            + ["--source_weights", "{meqsum: 2}", "--max_minutes", "1.5", "--length_penalty", "-1"]
        ),
    )
    assert recipe.adapter.target_modules == ["q", "v"] and recipe.adapter.use_dora
    assert recipe.evaluation.batch_size == 7 and recipe.training.batch_size == 8
    assert recipe.data.source_weights == {"meqsum": 2.0} and recipe.training.max_minutes == 1.5
    assert recipe.decoding.length_penalty == -1.0


def test_help_names_every_key() -> None:
    leaves = field_names(Recipe)
    assert {"lora_rank", "packing", "hub", "clusters", "learning_rate", "output_dir"} <= set(leaves)
    # A name in two sections means the first of them: training's batch size, not evaluation's.
    assert leaves["batch_size"] == ["training.batch_size", "evaluation.batch_size"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lora_rnk", "8"], ["lora_rnk", "not a key"]),
        (["--lora_rank", "eight"], ["adapter.lora_rank", "a number", "'eight'"]),
        (["--lora_rank", "8.5"], ["adapter.lora_rank", "a whole number"]),
        (["--lora_rank", "0"], ["lora_rank", "above 0"]),
        (["--learning_rate", ".nan"], ["learning_rate", "finite"]),
        (["--use_dora", "maybe"], ["adapter.use_dora", "true or false"]),
        (["--metric", "accuracy"], ["evaluation.metric", "one of rouge1"]),
        (["--train", "3"], ["data.train", "a list"]),
        (["--section_dropout", "1.5"], ["section_dropout", "0 to 1"]),
        (["--lora_dropout", "1"], ["lora_dropout", "below 1"]),
        (["8"], ["'8'", "--key value"]),
        (["--use_8bit", "--use_4bit"], ["use_8bit", "use_4bit"]),
        (["--method", "full", "--use_4bit"], ["use_4bit", "method: lora"]),
        (["--method", "full"], ["weights_dtype"]),
        (["--packing"], ["packing", "architecture: causal"]),
        (["--loss_average", "answers"], ["loss_average", "tokens", "rows"]),
        (["--precision", "fp16", "--weights_dtype", "float32"], ["precision", "T5", "bf16"]),
        (["--shares", "[0.5, 0.2]"], ["prepare.shares"]),
        (["--prepare.split", "group"], ["prepare.split", "group_by"]),
        (["--files", "[a.csv]"], ["prepare.hub", "prepare.files", "--hub null"]),
        (["--seed", "-1"], ["seed", "from 0"]),
        (["--split_seed", "4294967296"], ["split_seed", "from 0"]),
        (["--adam_beta2", "1.5"], ["adam_beta2", "below 1"]),
        (["--target_modules", "[]"], ["target_modules"]),
        (["--expected_rows", "0"], ["expected_rows", "above 0"]),
        (["--evaluation.max_rows", "-5"], ["evaluation.max_rows", "above 0"]),
        (["--source_weights", "{meqsum: -1}"], ["the weight of meqsum", "below 0"]),
        (["--architecture", "causal", "--packing"], ["packing and architecture", "seq2seq"]),
        (["--abnormal_weight", "2"], ["abnormal_weight", "radiology"]),
        (["--clusters", "1"], ["clusters", "at least 2"]),
        (["--input_feature", "modality"], ["input_feature", "{section}"]),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(arguments: list[str], words: list[str]) -> None:
    message = fault_of(*arguments)
    for word in words:
        assert word in message


@pytest.mark.parametrize("backbone", ["google/flan-t5-base", "google/byt5-small", "x/biobart"])
def test_a_causal_recipe_takes_no_encoder_decoder(backbone: str) -> None:
    message = fault_of("--backbone", backbone, recipe="radiology-mediphi-qlora")
    assert backbone in message and "--architecture seq2seq --packing false" in message
    parse = parse_overrides(["--backbone", "owner/gpt5-small"])
    assert load_recipe("radiology-mediphi-qlora", parse).backbone == "owner/gpt5-small"


@pytest.mark.parametrize("key, value", [("loss_average", "rows"), ("label_smoothing", "0.1")])
def test_what_only_an_encoder_decoder_learns_by_is_refused(key: str, value: str) -> None:
    message = fault_of(f"--{key}", value, recipe="radiology-mediphi-qlora")
    assert key in message and "architecture: seq2seq" in message


def test_packing_must_hold_the_longest_row() -> None:
    message = fault_of("--packed_tokens", "512", recipe="radiology-mediphi-qlora")
    assert "packed_tokens (512)" in message and "1024" in message


def test_an_unknown_recipe_lists_those_that_exist() -> None:
    with pytest.raises(RecipeError, match="name comes first.*radiology-mediphi-qlora"):
        load_recipe("1e-4")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("task: radiology\nlora_rank: 8\n", "lora_rank is not a key"),
        ("task: radiology\nadapter:\n  rank: 8\n", "adapter.rank is not a key"),
        ("task: radiology\nadapter: 8\n", "adapter must hold keys"),
        (
            "task: dialogue\ndata:\n  train: [{path: a.jsonl, supported: 1.5}]\n",
            "supported of a.jsonl is a share above 0",
        ),
        (
            "task: dialogue\ndata:\n  train: [{path: a.jsonl, excerpts: 0}]\n",
            "excerpts of a.jsonl is a share above 0",
        ),
        (
            "task: dialogue\ndata:\n  train: [{path: a.jsonl, retold: true}]\n",
            "retold of a.jsonl needs windowed",
        ),
        (
            "task: question\ndata:\n  train: [{path: a.jsonl, exchanged: 2}]\n",
            "exchanged of a.jsonl is a number of copies of a conversation, not 2 of question",
        ),
        (
            "task: dialogue\ndata:\n  train: [{path: a.jsonl, excerpts: 0.7, exchanged: 2}]\n",
            "exchanged of a.jsonl needs retold",
        ),
        ("task: radiology\nseed: 1\nseed: 2\n", "seed stands there twice"),
        (
            "task: radiology\ntraining:\n  warmup: 1\n  warmup: 2\n",
            "warmup stands there twice",
        ),
        ("name: x\n", "task is missing"),
        ("- a\n", "must hold keys and values"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_recipe_file_is_held_to_the_same_rules(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as fault:
        load_recipe(str(path))
    assert words in str(fault.value) and "\n" not in str(fault.value)


def test_nothing_is_imported_that_a_refusal_does_not_need(run_command) -> None:
    done = run_command("train.run", "question-flan-t5-large", "--packing")
    assert done.code == 1 and done.err.startswith("error: packing") and done.err.count("\n") == 1
    assert done.out == ""
