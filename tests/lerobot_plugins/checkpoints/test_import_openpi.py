"""openpi checkpoints become policies: every tensor in its place, the checkpoint's statistics, or an error."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.factory import make_policy_config
from lerobot.policies.pi05.configuration_pi05 import PI05Config
from lerobot.policies.pi05.modeling_pi05 import PI05Pytorch
from openpi_checkpoints import ASSET_ID, TINY, import_tiny, write_assets, write_jax_checkpoint
from openpi_tree import REAL, random_tree, shapes, write_orbax
from safetensors.torch import load_file, save_file

from lerobot_plugins.checkpoints import import_openpi as importing
from lerobot_plugins.checkpoints.first import DatasetSource
from lerobot_plugins.checkpoints.load_report import empty_parameters
from lerobot_plugins.checkpoints.openpi_layout import plan
from lerobot_plugins.checkpoints.pi05_names import EMBEDDING, EXPERT_LM_HEAD, LM_HEAD, openpi_name
from lerobot_plugins.checkpoints.policy_folder import expected_shapes
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError

PALIGEMMA = "model.paligemma_with_expert.paligemma.model"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_jax_checkpoint(tmp_path_factory.mktemp("openpi") / "29999")


@pytest.fixture(scope="module")
def imported(checkpoint, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("imported") / "policy"
    import_tiny(checkpoint, output)
    return output


@pytest.fixture
def torch_folder(imported, tmp_path) -> Path:
    """The same weights as openpi's PyTorch converter names them."""
    folder = tmp_path / "pytorch"
    folder.mkdir()
    weights = {openpi_name(name): value for name, value in load_file(imported / "model.safetensors").items()}
    weights["paligemma_with_expert.gemma_expert.lm_head.weight"] = torch.zeros(264, 64)
    save_file(weights, folder / "model.safetensors")
    write_assets(folder)
    return folder


def refused(checkpoint: Path, output: Path, **options: Any) -> str:
    """The message of an import that must fail and leave nothing."""
    with pytest.raises(ZooError) as error:
        import_tiny(checkpoint, output, **options)
    assert list(output.parent.glob("policy*")) == []
    return str(error.value)


def observation() -> dict:
    rng = np.random.default_rng(3)
    images = {
        f"observation.images.rgb.{name}": torch.from_numpy(rng.random((3, 48, 48), dtype=np.float32))
        for name in ("head", "left_wrist", "right_wrist")
    }
    return images | {"observation.state": torch.linspace(-1, 1, 23), "task": "turn on the radio"}


def test_the_policy_loads_strictly_and_acts_in_raw_units(imported):
    config = PreTrainedConfig.from_pretrained(imported)
    assert (config.type, config.chunk_size, config.action_width, config.state_width) == (
        "pi05_comet",
        32,
        23,
        23,
    )
    assert [name.rsplit(".", 1)[1] for name in config.camera_order] == ["head", "left_wrist", "right_wrist"]
    policy = get_policy_class("pi05_comet").from_pretrained(imported)
    before, after = make_pre_post_processors(config, pretrained_path=str(imported))
    action = after(policy.select_action(before(observation())))
    assert action.shape == (1, 23)
    assert torch.isfinite(action).all()


def test_statistics_are_the_checkpoints_own(imported, checkpoint):
    before, after = make_pre_post_processors(
        PreTrainedConfig.from_pretrained(imported), pretrained_path=str(imported)
    )
    stored = json.loads((checkpoint / "assets" / ASSET_ID / "norm_stats.json").read_text())["norm_stats"]
    unnormalize = after.steps[0]
    assert unnormalize.dataset == ASSET_ID
    np.testing.assert_array_equal(unnormalize.stats["action"]["q99"], stored["actions"]["q99"][:23])
    normalize = next(step for step in before.steps if getattr(step, "stats", None))
    np.testing.assert_array_equal(normalize.stats["observation.state"]["q01"], stored["state"]["q01"][:23])
    # openpi's formula: -1 comes back as q01, 1 as q99.
    ends = unnormalize.decode(torch.stack([-torch.ones(23), torch.ones(23)]))
    torch.testing.assert_close(ends[0], torch.tensor(stored["actions"]["q01"][:23]), rtol=0, atol=1e-5)
    torch.testing.assert_close(ends[1], torch.tensor(stored["actions"]["q99"][:23]), rtol=0, atol=1e-5)


def test_the_proof_sheet_names_source_transform_and_checksum_of_every_tensor(imported):
    proof = json.loads((imported / "proof.json").read_text())
    weights = load_file(imported / "model.safetensors")
    assert proof["source"] == "openpi-jax"
    assert [entry["target"] for entry in proof["tensors"]] == sorted(weights)
    tree = random_tree()
    for entry in proof["tensors"]:
        value = weights[entry["target"]]
        assert entry["source"] in tree
        assert entry["shape"] == list(value.shape)
        assert entry["sha256"] == hashlib.sha256(value.numpy().tobytes()).hexdigest()
    assert {entry["source"] for entry in proof["tensors"]} == set(tree)
    key = next(
        entry
        for entry in proof["tensors"]
        if entry["target"].endswith("language_model.layers.2.self_attn.k_proj.weight")
    )
    assert key["source"] == "PaliGemma/llm/layers/attn/kv_einsum/w"
    assert (key["layer"], key["transform"]) == (2, "w[0].permute(0, 2, 1).flatten(0, 1)")


def test_params_alone_are_found_with_the_assets_beside_them(imported, checkpoint, tmp_path):
    import_tiny(checkpoint / "params", tmp_path / "policy")
    ours = (imported / "model.safetensors").read_bytes()
    assert (tmp_path / "policy/model.safetensors").read_bytes() == ours


def test_bfloat16_halves_the_file(imported, checkpoint, tmp_path):
    import_tiny(checkpoint, tmp_path / "policy", dtype=torch.bfloat16)
    half = load_file(tmp_path / "policy/model.safetensors")
    for name, value in load_file(imported / "model.safetensors").items():
        assert torch.equal(half[name], value.bfloat16())


def test_a_pytorch_folder_gives_the_same_policy(imported, torch_folder, tmp_path):
    import_tiny(torch_folder, tmp_path / "policy")
    ours = (imported / "model.safetensors").read_bytes()
    assert (tmp_path / "policy/model.safetensors").read_bytes() == ours
    proof = json.loads((tmp_path / "policy/proof.json").read_text())
    assert proof["set_aside"] == ["paligemma_with_expert.gemma_expert.lm_head.weight"]
    source = {entry["target"]: entry["source"] for entry in proof["tensors"]}
    assert source[EMBEDDING] == openpi_name(LM_HEAD)


def test_both_names_of_the_embedding_must_agree(imported, torch_folder, tmp_path):
    weights = load_file(torch_folder / "model.safetensors")
    weights[EMBEDDING.removeprefix("model.")] = weights[openpi_name(LM_HEAD)].clone()
    save_file(weights, torch_folder / "model.safetensors")
    import_tiny(torch_folder, tmp_path / "same")
    same = load_file(tmp_path / "same/model.safetensors")
    assert torch.equal(same[EMBEDDING], load_file(imported / "model.safetensors")[EMBEDDING])
    weights[openpi_name(LM_HEAD)][5] += 1
    save_file(weights, torch_folder / "model.safetensors")
    error = refused(torch_folder, tmp_path / "policy")
    assert "holds one tensor twice, with different values" in error
    assert "lm_head.weight" in error


@pytest.mark.parametrize("change", ["missing", "unexpected", "mis-shaped"])
def test_a_pytorch_tensor_without_a_place_is_named(torch_folder, tmp_path, change):
    weights = load_file(torch_folder / "model.safetensors")
    if change == "missing":
        del weights["time_mlp_in.bias"]
    elif change == "unexpected":
        weights["memory.gate"] = torch.zeros(1)
    else:
        weights["time_mlp_in.bias"] = torch.zeros(65)
    save_file(weights, torch_folder / "model.safetensors")
    error = refused(torch_folder, tmp_path / "policy")
    name = "memory.gate" if change == "unexpected" else "model.time_mlp_in.bias"
    assert f"1 {change}: {name}" in error


def changed(tmp_path: Path, **changes: np.ndarray | None) -> Path:
    tree = random_tree() | {name: value for name, value in changes.items() if value is not None}
    return write_jax_checkpoint(
        tmp_path / "openpi",
        {name: value for name, value in tree.items() if changes.get(name, value) is not None},
    )


def test_leaves_without_a_place_are_named(tmp_path):
    folder = changed(tmp_path, **{"action_in_proj/bias": None, "extra/kernel": np.zeros((2, 2), np.float32)})
    error = refused(folder, tmp_path / "policy")
    assert "missing: action_in_proj/bias; unexpected: extra/kernel" in error


def test_another_geometry_is_named_by_its_tensors(tmp_path):
    folder = changed(tmp_path, **{"action_in_proj/kernel": np.zeros((24, 64), np.float32)})
    error = refused(folder, tmp_path / "policy")
    assert "1 mis-shaped: model.action_in_proj.weight (64, 24) instead of (64, 32)" in error
    assert "--policy.max_action_dim" in error


def test_pi0_is_refused(tmp_path):
    folder = changed(tmp_path, **{"state_proj/kernel": np.zeros((32, 64), np.float32)})
    assert "a pi0 network, not pi0.5" in refused(folder, tmp_path / "policy")


def test_a_weight_that_is_not_finite_is_refused(tmp_path):
    bias = np.zeros(64, np.float32)
    bias[3] = np.nan
    error = refused(changed(tmp_path, **{"time_mlp_in/bias": bias}), tmp_path / "policy")
    assert "time_mlp_in/bias holds NaN" in error


def test_lora_leaves_are_merged_and_said_so(tmp_path):
    rng = np.random.default_rng(4)
    source = "PaliGemma/llm/layers/attn/q_einsum/w"
    tree = random_tree()
    a = rng.normal(size=(3, 4, 128, 2)).astype(np.float32)
    b = rng.normal(size=(3, 4, 2, 32)).astype(np.float32)
    stem = source.removesuffix("/w")
    folder = changed(tmp_path, **{f"{stem}/lora_a": a, f"{stem}/lora_b": b})
    import_tiny(folder, tmp_path / "policy")
    x_D = rng.normal(size=128).astype(np.float32)
    weights = load_file(tmp_path / "policy/model.safetensors")
    q = weights[f"{PALIGEMMA}.language_model.layers.1.self_attn.q_proj.weight"].numpy() @ x_D
    w = tree[source][1]
    expected = np.einsum("d,hdk->hk", x_D, w) + np.einsum(
        "hl,hlk->hk", np.einsum("d,hdl->hl", x_D, a[1]), b[1]
    )
    np.testing.assert_allclose(q, expected.ravel(), rtol=1e-4, atol=1e-4)
    proof = json.loads((tmp_path / "policy/proof.json").read_text())
    transforms = [entry["transform"] for entry in proof["tensors"] if entry["source"] == source]
    assert all(text.endswith("of w + a b, rank 2, alpha = rank") for text in transforms)


def test_an_uncommitted_save_is_refused(tmp_path):
    write_orbax(
        tmp_path / "5/params.orbax-checkpoint-tmp-2", {"action_in_proj/bias": np.zeros(3, np.float32)}
    )
    assert "never committed" in refused(tmp_path / "5", tmp_path / "policy")
    (tmp_path / "5").rename(tmp_path / "5.orbax-checkpoint-tmp-0")
    assert "never committed" in refused(tmp_path / "5.orbax-checkpoint-tmp-0", tmp_path / "policy")


def test_several_statistics_must_be_chosen_from(checkpoint, tmp_path):
    write_jax_checkpoint(tmp_path / "openpi")
    write_assets(tmp_path / "openpi", "droid")
    error = refused(tmp_path / "openpi", tmp_path / "policy")
    assert ASSET_ID in error
    assert f"--asset-id={ASSET_ID}" in error
    import_tiny(tmp_path / "openpi", tmp_path / "policy", asset_id="droid")


def test_absent_and_unfit_statistics_are_refused(tmp_path):
    write_orbax(tmp_path / "openpi/params", random_tree())
    assert "has no statistics" in refused(tmp_path / "openpi", tmp_path / "policy")
    write_assets(tmp_path / "openpi", "droid", state=8, action=7, padded=8)
    error = refused(tmp_path / "openpi", tmp_path / "policy")
    assert "8 dimensions" in error
    assert "23 dimensions" in error
    assert "droid/norm_stats.json" in error


def test_features_come_from_a_dataset_or_a_robot(checkpoint, toy_root, tmp_path):
    dataset = DatasetSource("local/toy", str(toy_root))
    output = tmp_path / "policy"
    assert "have another width than the feature" in refused(checkpoint, output, dataset=dataset)
    assert "both a dataset and a robot" in refused(checkpoint, output, dataset=dataset, robot="r1_pro")
    assert "neither a dataset nor a robot" in refused(checkpoint, output, robot=None)
    assert "unknown --robot" in refused(checkpoint, output, robot="r2d2")
    assert "needs a dataset" in refused(checkpoint, output, stats_from="dataset")
    import_tiny(checkpoint, output, dataset=dataset, stats_from="dataset")
    config = PreTrainedConfig.from_pretrained(output)
    assert (config.state_width, config.action_width) == (8, 7)
    assert config.camera_order == ["observation.images.image", "observation.images.image2"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("No space left on device")])
def test_an_interrupted_import_leaves_nothing(checkpoint, tmp_path, monkeypatch, interruption):
    def fail(*_: object) -> str:
        raise interruption

    monkeypatch.setattr(importing.SafetensorsStream, "write", fail)
    with pytest.raises((KeyboardInterrupt, OSError)):
        import_tiny(checkpoint, tmp_path / "policy")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_import_left_is_cleared(checkpoint, tmp_path):
    (tmp_path / "policy.partial").mkdir()
    (tmp_path / "policy.partial/model.safetensors.partial").write_bytes(b"half")
    import_tiny(checkpoint, tmp_path / "policy")
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


def test_an_existing_folder_is_kept(checkpoint, imported):
    written = (imported / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(ZooError, match="output folder exists"):
        import_tiny(checkpoint, imported)
    assert (imported / "model.safetensors").stat().st_mtime_ns == written


def test_the_command_takes_policy_options_and_explains_wrong_ones(checkpoint, imported, tmp_path, capsys):
    options = [f"--policy.{name}={str(value).lower()}" for name, value in TINY.items()]
    command = [
        "checkpoint",
        "import-openpi",
        str(checkpoint),
        f"--output={tmp_path / 'policy'}",
        "--robot=r1_pro",
    ]
    assert main([*command, *options, "--policy.chunk_size=many"]) == 2
    assert "`policy.chunk_size`: Couldn't parse 'many' into an int" in capsys.readouterr().err
    assert main([*command, *options]) == 0
    assert "proof.json" in capsys.readouterr().out
    for name in ("model.safetensors", "config.json", "proof.json"):
        assert (tmp_path / "policy" / name).read_bytes() == (imported / name).read_bytes()


def test_a_folder_without_a_checkpoint_says_what_it_holds(tmp_path):
    (tmp_path / "config.yaml").touch()
    error = refused(tmp_path, tmp_path / "out/policy")
    assert "there is no openpi checkpoint" in error
    assert "config.yaml" in error


@pytest.fixture(scope="module")
def real_size() -> dict[str, tuple[int, ...]]:
    """Every weight of the policy at the size of the published checkpoints, without memory."""
    config = make_policy_config("pi05_comet", device="cpu", push_to_hub=False)
    importing.set_features(config, None, "r1_pro")
    return expected_shapes(config)


def test_the_policy_of_real_size_expects_what_a_real_checkpoint_gives(real_size):
    assert {place.target: place.shape for place in plan(shapes(REAL))} == real_size


def test_names_and_shapes_are_those_of_lerobots_pi05_but_for_the_language_heads(real_size):
    with empty_parameters():
        stock = PI05Pytorch(PI05Config(device="cpu")).state_dict()
    assert len(stock) == 813
    heads = {LM_HEAD: (257152, 2048), EXPERT_LM_HEAD: (257152, 1024)}
    assert {f"model.{name}": tuple(value.shape) for name, value in stock.items()} == real_size | heads


def test_an_exported_checkpoint_of_real_size_has_the_812_tensors_of_openpis_files(real_size):
    assert len({openpi_name(name) for name in real_size} | {openpi_name(EXPERT_LM_HEAD)}) == 812
