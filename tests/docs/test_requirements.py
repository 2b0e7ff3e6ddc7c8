"""Every promise of `docs/requirements.md` is kept by the command that its row names, run small.

A row's options and tools must be among those that its check used, so that page and checks stay together.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from PIL import Image
from promises import Promises, promises, same_tensors
from safetensors.torch import load_file
from simulator import simulator
from small_tokenizer import save_tokenizer
from tiny_paligemma import GEMMA2, micro_geometry, save_tiny
from training import TINY, command, interrupted_after
from transformers import PaliGemmaForConditionalGeneration
from transformers.models.paligemma import PaliGemmaConfig
from vla_rows import episode_rows, write

from lerobot_plugins.errors import ZooError

ROOT = Path(__file__).parents[2]
# What a row says beside what is to be run.
ASIDE = {"--policy.type", "--dataset.root"}


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Promises:
    return Promises(tmp_path_factory.mktemp("promises"))


def stored(run_or_folder) -> dict[str, torch.Tensor]:
    return load_file(getattr(run_or_folder, "policy", lambda: run_or_folder)() / "model.safetensors")


def config_of(run) -> dict:
    return json.loads((run.policy() / "train_config.json").read_text())


# Backbone.


def r1(here):
    weights = here.new() / "weight/paligemma-3b-pt-224"
    save_tiny(weights)
    save_tokenizer(weights)
    run = here.train(f"--policy.init_from={weights}", "--policy.freeze_vision_tower=true")
    ours, theirs = stored(run), load_file(weights / "model.safetensors")
    name = next(name for name in ours if "vision_tower" in name and name.endswith("q_proj.weight"))
    (origin,) = [key for key in theirs if key.endswith(name.split("vlm.")[-1])]
    assert torch.equal(ours[name], theirs[origin].to(ours[name].dtype))


def r2(here):
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert here.evaluate()[0]["complete"]


def r3(here):
    run = here.train("--policy.dtype=bfloat16")
    assert {value.dtype for name, value in stored(run).items() if "action_head" in name} == {torch.float32}
    assert np.isfinite(run.losses).all()


def r4(here):
    run = here.train("--policy.freeze_vision_tower=true", "--policy.freeze_language_model=true", "--steps=4")
    before, after = stored(run.policy(2)), stored(run.policy(4))
    assert same_tensors(before, after, "vision_tower")
    assert same_tensors(before, after, "language_model")
    assert not same_tensors(before, after, "action_head")


def r5(here):
    here.plugins("translate-config", here.yaml(256), "--frames=100")
    here.plugins("translate-config", here.yaml(128), "--frames=100", status=2)


def r6(here):
    weights = here.new() / "paligemma2"
    geometry = PaliGemmaConfig(**micro_geometry(GEMMA2 | {"vocab_size": 512}, {"image_size": 64}))
    PaliGemmaForConditionalGeneration(geometry).save_pretrained(weights)
    save_tokenizer(weights)
    run = here.train(f"--policy.init_from={weights}", "--policy.paligemma_variant=paligemma_3b")
    geometry = config_of(run)["policy"]["vlm_config"]
    assert geometry["text_config"]["model_type"] == "gemma2"
    assert geometry["vision_config"]["image_size"] == 64


# Inputs.


def r7(here):
    cameras = ["observation.images.image_2", "observation.images.image_1"]
    run = here.train("--policy.use_aux_camera=false", f"--policy.camera_order={cameras}")
    policy, before, _ = here.load(run.policy())
    with torch.no_grad():  # two steps leave the head at zero
        for parameter in policy.action_head.parameters():
            parameter.normal_(std=0.1)
    item = LeRobotDataset("me/data", root=here.data)[0]
    observation = {key: item[key] for key in item if key.startswith("observation.")} | {"task": item["task"]}
    expected = policy.predict_action_chunk(before(observation))
    for camera, counts in zip(cameras, (True, False), strict=True):
        policy.reset()
        changed = policy.predict_action_chunk(before(observation | {camera: 1 - observation[camera]}))
        assert torch.equal(changed, expected) != counts


def r8(here):
    for kind in ("none", "mlp", "pool", "perceiver"):
        # The tiny PaliGemma gives 64 tokens, not 256.
        tokens = "--policy.resampler_num_tokens=16"
        assert here.train(f"--policy.vision_resampler_type={kind}", tokens).losses


def r9(here):
    run = here.train("--policy.n_obs_steps=4", "--policy.history_mode=per_frame")
    assert here.evaluate(run.policy())[0]["complete"]


def r10(here):
    assert here.train("--policy.prompt_max_len=77").losses
    assert "is cut to" in here.train("--policy.prompt_max_len=9").log


def r11(here):
    run = here.train("--policy.use_state_input=false")
    assert not any("state_in" in name for name in stored(run))
    assert config_of(here.run)["policy"]["input_features"]["observation.state"]["shape"] == [4]


def r12(here):
    tasks = LeRobotDataset("me/data", root=here.data).meta.tasks.index
    assert "把红色的块放进碗里" in list(tasks)
    assert here.run.losses


# Actions.


def r13(here):
    assert here.train("--policy.chunk_size=8", "--policy.action_dim=24").losses
    with pytest.raises(ZooError, match="action_dim"):
        here.train("--policy.chunk_size=8", "--policy.action_dim=56")


def r14(here):
    assert here.train("--policy.num_inference_steps=10").losses


def r15(here):
    policy, before, _ = here.load(here.run.policy())
    item = LeRobotDataset("me/data", root=here.data)[0]
    observation = {key: item[key] for key in item if key.startswith("observation.")} | {"task": item["task"]}
    expected = policy.select_action(before(observation))
    policy.reset()
    assert torch.equal(policy.select_action(before(observation | {"action": item["action"] + 1})), expected)


def r16(here):
    run = here.train("--policy.head_type=mlp", "--policy.mlp_hidden_dims=[512,256]")
    assert here.evaluate(run.policy())[0]["complete"]


def r17(here):
    bins = here.evaluate()[0]["chunk"]["bins"]
    assert {"8", "256", "1024"} <= set(bins)
    assert 0 <= bins["256"]["exact"] <= bins["256"]["within_one"] <= 1


def r18(here):
    """Clipped to the recorded range, so raw units lie within it and normalised ones within [-1, 1]."""
    policy, before, after = here.load(here.run.policy())
    dataset = LeRobotDataset("me/data", root=here.data)
    item = dataset[0]
    observation = {key: item[key] for key in item if key.startswith("observation.")} | {"task": item["task"]}
    raw_A = after(policy.predict_action_chunk(before(observation)))[0, 0]
    stats = dataset.meta.stats["action"]
    assert raw_A[-1] == 0.5, "the constant dimension"
    assert (raw_A.numpy() >= stats["min"] - 1e-5).all()
    assert (raw_A.numpy() <= stats["max"] + 1e-5).all()


# Normalisation.


def r19(here):
    run = here.train("--policy.state_normalization=min_max")
    assert config_of(here.run)["policy"]["state_normalization"] == "min_max"
    assert np.isfinite(run.losses).all()


def r20(here):
    out = here.new() / "norm_stats.json"
    here.plugins("stats", f"--root={here.data}", f"--output={out}")
    assert "action" in json.dumps(json.loads(out.read_text()))


def r21(here, capsys):
    here.plugins("doctor", f"--root={here.data}")
    assert re.search(r"constant.*action", capsys.readouterr().out, re.DOTALL)


# Data.


def r22(here):
    dataset = LeRobotDataset("me/data", root=here.data)
    assert (dataset.num_episodes, len(dataset), dataset.fps) == (2, 18, 10)
    assert {"next.done", "next.terminal", "observation.images.image_1"} <= set(dataset.features)
    here.asked += ["--repo-id", "--root", "--fps", "lerobot-plugins convert"]


def r23(here):
    other, both = here.new(), here.new()
    rows = episode_rows(0, 4)
    renamed = [{**row, "image_1_bytes": row["image_1"], "image_2_bytes": row["image_2"]} for row in rows]
    binary = pq.read_schema(here.rows / "rows_0.parquet").field("image_1").type
    types = {"image_1_bytes": binary, "image_2_bytes": binary}
    write(other / "rows.parquet", renamed, image_1=None, image_2=None, **types)
    write(both / "rows.parquet", renamed, **types)
    here.convert(other)
    here.convert(both, status=2)
    here.convert(both, options=("--image1-column=image_1", "--image2-column=image_2"))


def r24(here):
    """The last frame's chunk is padding but for one step; what stands in the padding does not matter."""
    policy, before, _ = here.load(here.run.policy())
    times = {"action": [step / 10 for step in range(8)]}
    item = LeRobotDataset("me/data", root=here.data, delta_timestamps=times)[8]
    assert item["action_is_pad"].tolist() == [False] + [True] * 7
    row = {key: item[key][None] for key in item if torch.is_tensor(item[key])} | {"task": [item["task"]]}
    changed = row["action"].clone()
    changed[:, 1:] = 0.1
    policy.eval()
    one, other = (policy.forward(before(row | {"action": action}))[0] for action in (row["action"], changed))
    assert torch.equal(one, other)


def r25(here):
    files = sorted(here.rows.glob("*.parquet"))
    expected = (here.data / "meta/info.json").read_bytes()
    for inputs in (files, [here.rows / "rows_*.parquet"]):
        assert (here.convert(*inputs) / "meta/info.json").read_bytes() == expected


def r26(here):
    assert here.train("--num_workers=4").losses


# Training.


def r27(here):
    assert len(here.run.losses) == 2
    here.asked.append("lerobot-train")


def r28(here):
    output = here.new() / "out"
    given = ["--standalone", "--nproc-per-node=2", str(Path(sys.executable).with_name("lerobot-train"))]
    here.asked += ["torchrun", "lerobot-train", *given]
    done = subprocess.run(
        [Path(sys.executable).with_name("torchrun"), *given, *command(here.data, output, *TINY, "--steps=2")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (output / "checkpoints/000002/pretrained_model/model.safetensors").is_file()


def r29(here, capsys):
    here.plugins("translate-config", here.yaml(), "--frames=100", "--processes=4")
    assert "--batch_size=5" in capsys.readouterr().out
    here.train("--batch_size=2")


def r30(here, capsys):
    here.plugins("translate-config", here.yaml(), "--frames=100")
    assert "--steps=50" in capsys.readouterr().out  # ten epochs of 100 / 20 steps
    run = here.train("--steps=4", "--save_freq=2", "--log_freq=1")
    assert run.checkpoint(2).is_dir()
    assert run.checkpoint(4).is_dir()


def r31(here):
    optimizer = config_of(here.run)["optimizer"]
    assert (optimizer["type"], optimizer["lr"], optimizer["weight_decay"]) == ("adamw", 1e-4, 0.01)
    assert (optimizer["betas"], optimizer["grad_clip_norm"]) == ([0.9, 0.999], 1.0)


def r32(here):
    scheduler = config_of(here.run)["scheduler"]
    assert "cosine" in scheduler["type"]


def r33(here):
    whole = here.train("--steps=4")
    half = interrupted_after(whole, 2, here.new())
    resumed = here.train(f"--config_path={half.policy() / 'train_config.json'}", "--resume=true", raw=True)
    assert resumed.losses == whole.losses[2:]


def r34(here):
    output = here.new() / "out"
    given = command(here.data, output, f"--policy.path={here.run.policy()}", "--policy.optimizer_lr=1e-5")
    run = here.train(*given, "--policy.push_to_hub=false", raw=True)
    assert run.losses


def r35(here):
    run = here.copy_of_run()
    here.plugins("evaluate", f"--run-dir={run}", "--select-best", "mae")
    assert (run / "checkpoints/best/pretrained_model/model.safetensors").is_file()


def r36(here):
    assert here.train("--wandb.enable=true", "--wandb.mode=offline").losses


def r37(here):
    one, other = (here.train("--seed=7", "--policy.gradient_checkpointing=true") for _ in range(2))
    assert one.losses == other.losses
    assert one.losses != here.run.losses


def r38(here, capsys):
    path = here.yaml().rename(here.folder / "vla_config.yaml")
    here.plugins("translate-config", path, "--frames=100")
    assert "--policy.type=paligemma_flow" in capsys.readouterr().out


# Evaluation and tools.


def r39(here):
    run = here.copy_of_run()
    here.plugins(
        "evaluate", f"--run-dir={run}", "--save-predictions", "--episodes", "0", "1", "--batch-size=2"
    )
    table = pq.read_table(run / "evaluation/000002/chunks.parquet")
    assert len(table) == 18 * 8
    assert any(name.startswith("pred_norm_") for name in table.column_names)


def r40(here):
    chunk = here.evaluate()[0]["chunk"]
    assert {"mse", "mae"} <= set(chunk["raw"])
    assert len(chunk["per_horizon"]) == 8


def r41(here):
    names = {path.name for path in here.evaluate()[1].iterdir()}
    assert {"predictions.csv", "metrics.json", "inference_log.txt"} <= names


def pictures(here, count: int) -> list[str]:
    folder, words = here.new(), []
    folder.mkdir()
    for camera in ("image_1", "image_2"):
        for step in range(count):
            Image.new("RGB", (32, 32), (40 * step, 90, 10)).save(folder / f"{camera}_{step}.png")
            words += ["--image", f"{camera}={folder / camera}_{step}.png"]
    return words


def r42(here):
    rest = ("--prompt", "go", "--state", "0", "0", "0.1", "0.2", "--output", here.new())
    here.plugins("infer", here.run.policy(), *pictures(here, 1), *rest)
    assert (rest[-1] / "prediction.json").is_file()


def r43(here):
    run = here.train("--policy.n_obs_steps=4", "--policy.history_mode=per_frame")
    rest = ("--prompt", "go", "--state", "0", "0", "0.1", "0.2")
    here.plugins("infer", run.policy(), *pictures(here, 4), *rest)


def r44(here):
    folder = here.new()
    here.convert(here.rows, options=("--dump", str(folder)))
    here.plugins("infer", here.run.policy(), "--sample", folder)


def r45(here):
    metrics, _ = here.evaluate(
        None,
        "--policy.dtype=bfloat16",
        "--policy.num_inference_steps=2",
        "--env.episodes=[0,1]",
        "--eval.n_episodes=2",
        "--eval.batch_size=2",
    )
    assert metrics["complete"]


def r46(here, capsys):
    here.plugins("diagnose-ddp", "--backend=gloo", "--world=2", "--megabytes=1")
    run = here.train("--steps=12", "--save_freq=6", "--policy.scheduler_warmup_steps=0")
    here.plugins("diagnose-weights", run.output, f"--initial={run.policy(6)}")
    here.convert(here.rows, options=("--dry-run",))
    (run.output / "run.log").write_text(run.log)
    here.plugins("runs", "analyse", run.output, status=1)  # twelve steps are too few to judge the loss
    assert re.search(r"ok +weights +steps 6 to 12: .* as they should", capsys.readouterr().out)


def r47(here):
    assert (ROOT / "docs/troubleshooting.md").read_text().count("\n| ") > 40


def r48(here):
    """A robot in simulation, guided in real time, and LIBERO, which has an environment of its own."""
    pytest.importorskip("mujoco")
    from stock_robot_commands import SIZE, record, run

    root = here.new()
    record(root, "--dataset.video=false")
    camera = "--policy.camera_order=[observation.images.camera_top]"
    output = here.new() / "out"
    trained = here.train(
        *command(root, output, *TINY, "--steps=2", camera, "--dataset.repo_id=local/gr2"), raw=True
    )
    policy = output / "checkpoints/last/pretrained_model"
    assert trained.losses
    run(
        *("rollout", "--robot.type=fourier_gr2", *SIZE, "--inference.type=rtc"),
        *("--inference.rtc.execution_horizon=4", f"--policy.path={policy}", "--policy.device=cpu"),
        *("--task=wave", "--duration=2", "--fps=10"),
    )
    sample = ROOT / "examples/sample_data/lerobot/libero_sample"
    options = (*TINY, "--steps=2", "--dataset.repo_id=local/libero", "--dataset.video_backend=pyav")
    output = here.new() / "out"
    here.train(*command(sample, output, *options), raw=True)
    simulator(
        *(
            "lerobot-eval",
            f"--policy.path={output / 'checkpoints/last/pretrained_model'}",
            "--policy.device=cpu",
        ),
        *("--env.type=libero", "--env.task=libero_object", "--env.task_ids=[3,8]", "--env.episode_length=6"),
        *("--env.observation_height=64", "--env.observation_width=64", "--eval.use_async_envs=false"),
        *("--eval.n_episodes=2", "--eval.batch_size=2", f"--output_dir={here.new()}/libero"),
    )
    here.asked += ["lerobot-rollout", "lerobot-eval", "--env.type"]


CHECKS = {name.upper(): check for name, check in globals().items() if re.fullmatch(r"r\d+", name)}


def test_every_promise_has_a_check():
    assert sorted(CHECKS) == sorted(promises())
    assert len(CHECKS) == 48


@pytest.mark.slow
@pytest.mark.parametrize("number", CHECKS)
def test_it_is_kept(number, here, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("lerobot_plugins.evaluation.report.report_page", lambda *_: "")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    here.asked.clear()
    check = CHECKS[number]
    check(*((here, capsys) if check.__code__.co_argcount == 2 else (here,)))
    used = {word.split("=")[0] for word in here.asked}
    row = promises()[number]
    options = set(re.findall(r"--[a-z][\w.-]*\w", row)) - ASIDE
    tools = set(re.findall(r"lerobot-plugins [a-z-]+|lerobot-(?:train|eval|rollout)|torchrun", row))
    assert options <= used, options - used
    assert tools <= used, tools - used
