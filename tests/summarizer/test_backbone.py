"""Loading: folders of every right shape load, every wrong one is refused in one sentence."""

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
from tiny_t5 import make_adapter, make_backbone

from summarizer import measured
from summarizer.backbone import (
    ROOT,
    Backbone,
    ModelError,
    choose_device,
    choose_dtype,
    cpu_cores,
    is_hub_id,
    load_adapters,
    load_backbone,
    read_shapes,
    resolve,
    weights_sha256,
)
from summarizer.generate import Engine


@pytest.fixture(scope="module")
def backbone(tiny) -> Backbone:
    return load_backbone(tiny.backbone, "cpu")


@pytest.fixture
def base_copy(tiny, tmp_path) -> Path:
    return Path(shutil.copytree(tiny.backbone, tmp_path / "base"))


@pytest.fixture
def adapter_copy(tiny, tmp_path) -> Path:
    return Path(shutil.copytree(tiny.adapters["radiology"], tmp_path / "adapter"))


def refusal(call, *arguments) -> str:
    """The sentence a call is refused with."""
    with pytest.raises(ModelError) as refused:
        call(*arguments)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


class Bomb:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


# --- backbones ----------------------------------------------------------------------------------


def test_a_backbone_is_loaded_ready_to_generate(backbone):
    assert (backbone.kind, backbone.positions, backbone.ends) == ("seq2seq", None, {1})
    assert not backbone.model.training
    assert str(backbone.model.dtype) == "torch.float32"
    assert backbone.tokenizer.is_fast


def test_a_backbone_in_bfloat16_shards_is_the_same_model(base_copy, tmp_path):
    import torch
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(base_copy, dtype=torch.bfloat16)
    sharded = tmp_path / "sharded"
    shutil.copytree(base_copy, sharded, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(sharded, max_shard_size="40KB")
    assert len(list(sharded.glob("*.safetensors"))) > 2

    loaded = load_backbone(str(sharded), "cpu", "float32").model.state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded[name], weight.float())

    max(sharded.glob("*.safetensors")).unlink()
    assert "lacks its weights file" in refusal(load_backbone, str(sharded))


def test_a_backbones_own_decoding_habits_do_not_reach_the_output(base_copy):
    settings = json.loads((base_copy / "generation_config.json").read_text())
    settings |= {"num_beams": 4, "min_length": 50, "repetition_penalty": 2.0, "do_sample": True}
    (base_copy / "generation_config.json").write_text(json.dumps(settings))
    config = load_backbone(str(base_copy), "cpu").model.generation_config
    assert config.num_beams in (None, 1)
    assert not config.min_length
    assert config.repetition_penalty in (None, 1.0)
    assert not config.do_sample
    assert (config.eos_token_id, config.decoder_start_token_id) == (1, 0)


def test_a_folder_that_is_not_there(tmp_path):
    assert "is missing" in refusal(load_backbone, str(tmp_path / "nowhere"))
    assert "is missing" in refusal(load_backbone, "models/no-such-model")


def test_a_folder_without_a_backbone(tmp_path):
    assert "config.json is missing" in refusal(load_backbone, str(tmp_path))


def test_a_backbone_without_weights(base_copy):
    (base_copy / "model.safetensors").unlink()
    assert "lacks its weights" in refusal(load_backbone, str(base_copy))


def test_a_backbone_in_a_pickle_is_not_read(base_copy, tmp_path):
    (base_copy / "model.safetensors").unlink()
    mark = tmp_path / "unpickled"
    (base_copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    assert "pickle" in refusal(load_backbone, str(base_copy))
    assert not mark.exists()


def test_truncated_weights_of_a_backbone(base_copy):
    cut_short(base_copy / "model.safetensors")
    assert "damaged" in refusal(load_backbone, str(base_copy))


def test_a_backbone_with_some_of_its_weights(base_copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(base_copy / "model.safetensors")
    del weights["encoder.block.1.layer.0.SelfAttention.q.weight"]
    save_file(weights, base_copy / "model.safetensors", metadata={"format": "pt"})
    assert "not all there" in refusal(load_backbone, str(base_copy))


@pytest.mark.parametrize("places", [[1], {"shared.weight": [1]}, None, "x"], ids=str)
def test_an_index_of_another_shape(base_copy, places):
    (base_copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert "does not say in which files" in refusal(load_backbone, str(base_copy))


def test_records_of_another_shape_are_told(tiny, adapter_copy):
    """An adapter of somebody else's: what stands beside its weights may be anything."""
    for record in ("[" * 100_000, "[]", "{"):
        (adapter_copy / "run.json").write_text(record)
        backbone = load_backbone(tiny.backbone, "cpu")
        assert "run.json" in refusal(load_adapters, backbone, {"radiology": str(adapter_copy)})
    for recipe in ("x", [1], {"decoding": [1]}, {"prompt": 5}, {"max_input_tokens": "x"}):
        (adapter_copy / "run.json").write_text(json.dumps({"recipe": recipe, "base": "x"}))
        adapters = {"radiology": str(adapter_copy)}
        assert "run record" in refusal(Engine.load, tiny.backbone, adapters, "cpu")


def test_scores_of_another_shape_do_not_stop_the_page(engine):
    systems = {"lora": {"rougeL": {"mean": 1.0, "low": 0.0, "high": 2.0}}}
    whole = {"data": {"name": "x", "split": "test", "n": 3}, "decoding": {}, "systems": systems}
    for changed in ({"systems": [1]}, {"systems": {"lora": 3}}, {"data": "x"}, {"decoding": [1]}):
        info = dataclasses.replace(engine.adapters["radiology"], scores={**whole, **changed})
        assert "cannot be read" in measured.scores(engine.task("radiology"), info)


def test_an_index_that_points_outside_its_folder(base_copy):
    (base_copy / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"shared.weight": "../../secret.safetensors"}})
    )
    assert "outside" in refusal(load_backbone, str(base_copy))


def test_damaged_json(base_copy, adapter_copy, backbone):
    (base_copy / "config.json").write_text("{")
    refusal(load_backbone, str(base_copy))
    (adapter_copy / "run.json").write_text("{")
    assert "run.json" in refusal(load_adapters, backbone, {"radiology": str(adapter_copy)})


def test_code_in_a_models_folder_is_not_run(base_copy, tmp_path):
    mark = tmp_path / "ran"
    config = json.loads((base_copy / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "strange.Strange"}}
    (base_copy / "config.json").write_text(json.dumps(config))
    (base_copy / "strange.py").write_text(f"import os; os.mkdir({str(mark)!r})\nclass Strange: ...")
    refusal(load_backbone, str(base_copy))
    assert not mark.exists()


# --- adapters -----------------------------------------------------------------------------------


def test_all_adapters_sit_on_one_base_in_memory(tiny):
    backbone = load_backbone(tiny.backbone, "cpu")
    one = sum(weight.numel() for weight in backbone.model.parameters())
    model, infos = load_adapters(backbone, tiny.adapters)
    lora = sum(w.numel() for name, w in model.named_parameters() if "lora_" in name)
    assert sum(weight.numel() for weight in model.parameters()) == one + lora
    assert list(infos) == ["radiology", "dialogue", "question"]
    info = infos["radiology"]
    assert (info.rank, info.run, info.scores, info.revision) == (4, None, None, None)
    assert info.base == tiny.backbone


def test_an_adapter_brings_its_run_record_and_scores(tiny, adapter_copy):
    (adapter_copy / "run.json").write_text('{"seed": 7}')
    (adapter_copy / "scores.json").write_text('{"task": "radiology"}')
    _, infos = load_adapters(load_backbone(tiny.backbone), {"radiology": str(adapter_copy)})
    assert infos["radiology"].run == {"seed": 7}
    assert infos["radiology"].scores == {"task": "radiology"}


def test_a_folder_without_an_adapter(backbone, tmp_path, tiny):
    assert "holds no adapter" in refusal(load_adapters, backbone, {"a": str(tmp_path)})
    assert "holds no adapter" in refusal(load_adapters, backbone, {"a": tiny.backbone})
    assert "is missing" in refusal(load_adapters, backbone, {"a": str(tmp_path / "x")})
    refusal(load_adapters, backbone, {})


def test_an_adapter_without_weights(backbone, adapter_copy):
    (adapter_copy / "adapter_model.safetensors").unlink()
    assert "holds no adapter" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})


def test_an_adapter_in_a_pickle_is_not_read(backbone, adapter_copy, tmp_path):
    mark = tmp_path / "unpickled"
    (adapter_copy / "adapter_model.safetensors").unlink()
    (adapter_copy / "adapter_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    assert "pickle" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})
    assert not mark.exists()


def test_a_pickle_beside_safetensors_is_left_alone(tiny, adapter_copy, tmp_path):
    mark = tmp_path / "unpickled"
    (adapter_copy / "adapter_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    load_adapters(load_backbone(tiny.backbone), {"a": str(adapter_copy)})
    assert not mark.exists()


def test_a_pickle_that_calls_itself_safetensors(backbone, adapter_copy, tmp_path):
    mark = tmp_path / "unpickled"
    (adapter_copy / "adapter_model.safetensors").write_bytes(pickle.dumps(Bomb(mark)))
    assert "damaged" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})
    assert not mark.exists()


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_truncated_weights_of_an_adapter(backbone, adapter_copy, size):
    file = adapter_copy / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    assert "damaged" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})


def test_an_adapter_of_a_wider_backbone(backbone, tmp_path):
    other = make_backbone(tmp_path / "wide", width=48)
    adapter = make_adapter(other, tmp_path / "adapter", seed=1)
    sentence = refusal(load_adapters, backbone, {"a": str(adapter)})
    assert "does not fit the backbone" in sentence
    assert "trained on" in sentence


def test_an_adapter_of_another_architecture(backbone, adapter_copy):
    from safetensors.torch import load_file, save_file

    file = adapter_copy / "adapter_model.safetensors"
    weights = load_file(file)
    renamed = {key.replace("encoder.block", "model.layers"): w for key, w in weights.items()}
    save_file(renamed, file, metadata={"format": "pt"})
    assert "there is no layer" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})


def test_an_adapter_whose_record_names_other_weights_of_the_same_shape(tiny, tmp_path):
    twin = make_backbone(tmp_path / "twin", seed=99)
    record = {"base": {"name": "models/base", "sha256": weights_sha256(twin)}}
    adapter = make_adapter(twin, tmp_path / "adapter", seed=1, run=record)
    load_adapters(load_backbone(str(twin)), {"a": str(adapter)})  # its own: fine
    other = load_backbone(tiny.backbone)
    assert "other weights" in refusal(load_adapters, other, {"a": str(adapter)})


def test_an_adapter_with_some_of_its_weights(tiny, adapter_copy):
    from safetensors.torch import load_file, save_file

    file = adapter_copy / "adapter_model.safetensors"
    weights = load_file(file)
    weights.pop(next(iter(weights)))
    save_file(weights, file, metadata={"format": "pt"})
    fresh = load_backbone(tiny.backbone)
    assert "not all there" in refusal(load_adapters, fresh, {"a": str(adapter_copy)})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"r": 3}, "says rank 3 and holds a matrix of rank"),
        ({"target_modules": 5}, "names the layers 5 as target_modules"),
    ],
)
def test_a_configuration_that_is_not_the_weights(backbone, adapter_copy, changes, told):
    config = json.loads((adapter_copy / "adapter_config.json").read_text())
    (adapter_copy / "adapter_config.json").write_text(json.dumps(config | changes))
    assert told in refusal(load_adapters, backbone, {"a": str(adapter_copy)})


def test_an_adapter_that_names_a_base_of_the_hub_is_not_put_on_the_project_s_own(tmp_path):
    for file in ("adapter_config.json", "adapter_model.safetensors", "run.json"):
        shutil.copy(ROOT / "models/question" / file, tmp_path)
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"base_model_name_or_path": "google/flan-t5-base"}))
    load_adapters(load_backbone("models/base"), {"a": str(tmp_path)})  # its record says it fits
    (tmp_path / "run.json").unlink()
    sentence = refusal(load_adapters, load_backbone("models/base"), {"a": str(tmp_path)})
    assert "it was trained on google/flan-t5-base" in sentence


def test_a_file_or_a_mistyped_folder_is_told_as_that(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapter.txt").write_text("")
    (tmp_path / "out").mkdir()
    assert "is a file: name the folder" in refusal(resolve, "adapter.txt", "adapter")
    assert refusal(resolve, "out/adapter", "adapter").startswith(
        "There is no folder out/adapter. On the Hub: "
    )


def test_an_adapter_that_is_not_lora(backbone, adapter_copy):
    config = json.loads((adapter_copy / "adapter_config.json").read_text())
    (adapter_copy / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "IA3"}))
    assert "only LoRA" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})
    (adapter_copy / "adapter_config.json").write_text(json.dumps(config | {"r": "many"}))
    assert "rank" in refusal(load_adapters, backbone, {"a": str(adapter_copy)})


def test_an_adapter_that_replaces_whole_modules(backbone, tiny, tmp_path):
    adapter = make_adapter(
        Path(tiny.backbone), tmp_path / "a", seed=1, target_modules=["q"],
        modules_to_save=["lm_head"],
    )  # fmt: skip
    assert "asks for modules_to_save" in refusal(load_adapters, backbone, {"a": str(adapter)})
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "modules_to_save": None}))
    assert "not LoRA's" in refusal(load_adapters, backbone, {"a": str(adapter)})


def test_an_adapter_that_would_change_the_base_as_it_is_loaded(backbone, adapter_copy):
    """The left column would no longer be the base."""
    config = json.loads((adapter_copy / "adapter_config.json").read_text())
    changed = json.dumps({**config, "init_lora_weights": "pissa"})
    (adapter_copy / "adapter_config.json").write_text(changed)
    assert "changes the base when loaded" in refusal(
        load_adapters, backbone, {"a": str(adapter_copy)}
    )


def test_an_adapter_of_another_base_by_name(tiny, adapter_copy):
    """The same shapes, and no run record: two names of the Hub have to be one."""
    (adapter_copy / "run.json").unlink(missing_ok=True)
    config = json.loads((adapter_copy / "adapter_config.json").read_text())

    def named(base: str) -> dict[str, str]:
        changed = json.dumps({**config, "base_model_name_or_path": base})
        (adapter_copy / "adapter_config.json").write_text(changed)
        return {"a": str(adapter_copy)}

    def on(name: str) -> Backbone:  # a fresh one: loading an adapter changes the model
        return dataclasses.replace(load_backbone(tiny.backbone, "cpu"), name=name)

    ours = on("owner/base@v1")
    assert "was trained on stranger/base" in refusal(load_adapters, ours, named("stranger/base"))
    load_adapters(ours, named("Owner/base"))
    load_adapters(on("owner/base"), named("/somewhere/else/base"))  # a path tells nothing
    load_adapters(on(tiny.backbone), named("stranger/base"))  # a copy in a folder


def test_a_bad_adapter_leaves_the_backbone_as_it_was(tiny, tmp_path):
    fresh = load_backbone(tiny.backbone)
    names = [name for name, _ in fresh.model.named_parameters()]
    refusal(
        load_adapters, fresh, {"radiology": tiny.adapters["radiology"], "dialogue": str(tmp_path)}
    )
    assert [name for name, _ in fresh.model.named_parameters()] == names


# --- where from, on what ------------------------------------------------------------------------


def test_a_folder_of_the_project_is_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert resolve("summarizer") == (ROOT / "summarizer", None)
    (tmp_path / "summarizer").mkdir()
    assert resolve("summarizer")[0].resolve() == tmp_path / "summarizer"


@pytest.mark.parametrize(
    ("source", "is_one"),
    [
        ("google/flan-t5-base", True),
        ("owner/name@0123abc", True),
        ("owner/name@refs/pr/1", True),
        ("models/base", False),
        ("runs/some", False),
        ("/owner/name", False),
        ("./owner/name", False),
        ("owner/../name", False),
        ("a/b/c", False),
        ("name", False),
        ("owner/na me", False),
        ("", False),
    ],
)
def test_a_hub_id_is_told_from_a_path(source, is_one):
    assert is_hub_id(source) is is_one


def test_a_hub_that_cannot_be_reached_is_told():
    assert "owner/name" in refusal(load_backbone, "owner/name")


def test_device_and_dtype():
    import torch

    assert choose_device("cpu") == "cpu"
    assert choose_dtype("auto", "cpu") == "float32"
    assert choose_dtype("auto", "cuda") == "bfloat16"
    assert choose_dtype("bfloat16", "cpu") == "bfloat16"
    assert "float16" in refusal(choose_dtype, "float16", "cpu")
    assert "tpu" in refusal(choose_device, "tpu")
    if not torch.cuda.is_available():
        assert choose_device("auto") == "cpu"
        assert "CUDA" in refusal(choose_device, "cuda")


def test_cores_are_counted():
    assert 1 <= cpu_cores() <= (os.cpu_count() or 1)


def test_the_hash_of_weights_is_of_their_bytes_and_names(base_copy):
    before = weights_sha256(base_copy)
    (base_copy / "README.md").write_text("a card")
    assert weights_sha256(base_copy) == before
    (base_copy / "model.safetensors").rename(base_copy / "other.safetensors")
    assert weights_sha256(base_copy) != before


def test_shapes_are_read_without_the_tensors(base_copy):
    assert read_shapes(base_copy / "model.safetensors")["shared.weight"] == (320, 32)
