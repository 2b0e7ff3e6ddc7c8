"""Geometry and weights of the PaliGemma: presets, folders, what is wrong with them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_paligemma import micro_geometry, save_tiny, tiny_model

from lerobot_plugins.errors import ZooError
from lerobot_plugins.nn.paligemma import (
    GEOMETRIES,
    PRETRAINED,
    build_paligemma,
    default_source,
    geometry_of,
    load_paligemma,
    parameter_count,
    truncated,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "base")


def load(folder: Path) -> torch.nn.Module:
    return load_paligemma(str(folder), geometry_of("tiny", str(folder)))


def change_weights(folder: Path, change) -> None:
    """Rewrite the folder's tensors after `change(tensors)`."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


# Presets.


def test_the_3b_preset_has_the_published_number_of_weights():
    with torch.device("meta"):
        model = build_paligemma(geometry_of("paligemma_3b", "scratch"))
    assert parameter_count(model) == 2_923_466_480
    assert parameter_count(model.vision_tower) == 412_442_352
    assert parameter_count(model.multi_modal_projector) == 2_361_344
    assert parameter_count(model.language_model.layers) == 18 * 110_104_576
    assert parameter_count(model.language_model.embed_tokens) == 526_778_368


def test_the_tiny_preset_is_tiny():
    assert parameter_count(tiny_model()) < 1_000_000


def test_every_preset_knows_its_weights_and_survives_json():
    assert GEOMETRIES.keys() == PRETRAINED.keys()
    for name in GEOMETRIES:
        geometry = geometry_of(name, "scratch")
        assert json.loads(json.dumps(geometry)) == geometry


def test_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ZooError, match="paligemma_3b, tiny"):
        default_source("paligemma_7b")


def test_rotary_frequencies_are_float32_and_not_saved():
    model = tiny_model()
    assert model.language_model.rotary_emb.inv_freq.dtype == torch.float32
    assert not any("inv_freq" in name for name in model.state_dict())


# A folder.


def test_a_folder_says_its_own_geometry(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    assert geometry_of("paligemma_3b", str(folder))["text_config"]["num_hidden_layers"] == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_arrive_as_they_are_stored(tmp_path, dtype):
    loaded = load(save_tiny(tmp_path, dtype, seed=5))
    stored = load_file(tmp_path / "model.safetensors")
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}
    assert loaded.language_model.rotary_emb.inv_freq.dtype == torch.float32
    query = "layers.1.self_attn.q_proj.weight"
    assert torch.equal(
        loaded.language_model.state_dict()[query], stored[f"model.language_model.model.{query}"]
    )


def test_weights_without_a_language_head_load_too(tmp_path):
    model = tiny_model(seed=3)
    model.save_pretrained(tmp_path)
    assert all(map(torch.equal, load(tmp_path).parameters(), model.parameters()))


NAME = "model.language_model.model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop(NAME), r"missing: .*layers\.1\.mlp\.up_proj"),
        (lambda tensors: tensors.update({"model.extra": torch.ones(1)}), r"unexpected: model\.extra"),
        (lambda tensors: tensors.update({NAME: torch.ones(2, 3)}), r"mis-shaped: .*up_proj.*\(2, 3\)"),
        (lambda tensors: tensors[NAME].fill_(float("nan")), r"not finite: .*up_proj"),
    ],
    ids=["missing", "unexpected", "mis-shaped", "not finite"],
)
def test_a_wrong_tensor_is_named(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(ZooError, match=message):
        load(folder)


def test_a_short_file_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ZooError, match="cannot read PaliGemma from"):
        load(folder)


@pytest.mark.parametrize("config", ["{broken", "{}"], ids=["broken", "empty"])
def test_an_unreadable_config_is_refused(folder, config):
    (folder / "config.json").write_text(config)
    with pytest.raises(ZooError, match="cannot read PaliGemma from"):
        geometry_of("tiny", str(folder))


def test_another_kind_of_model_is_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma"}))
    with pytest.raises(ZooError, match=r"not a PaliGemma model(.|\n)*'gemma'"):
        geometry_of("tiny", str(tmp_path))


def test_another_text_tower_is_refused_by_name():
    with pytest.raises(ZooError, match=r"not supported(.|\n)*llama"):
        build_paligemma(micro_geometry({"model_type": "llama", "use_bidirectional_attention": True}))


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ZooError, match="absent"):
        geometry_of("tiny", str(tmp_path / "absent"))


def test_offline_the_message_says_what_to_download():
    with pytest.raises(ZooError, match=r"hf download some-lab/paligemma(.|\n)*--policy\.init_from=FOLDER"):
        geometry_of("paligemma_3b", "some-lab/paligemma")


# The first layers only.


def test_the_first_layers_of_a_folder_are_loaded_alone(folder):
    geometry = truncated(geometry_of("tiny", str(folder)), 2)
    short = load_paligemma(str(folder), geometry, first_layers_only=True)
    whole = load(folder)
    assert len(short.language_model.layers) == 2
    stored = whole.state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in short.state_dict().items())
    with pytest.raises(ZooError, match="unexpected"):
        load_paligemma(str(folder), geometry)


@pytest.mark.parametrize("layers", [0, 4])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(ZooError, match="1 to 3"):
        truncated(geometry_of("tiny", "scratch"), layers)
