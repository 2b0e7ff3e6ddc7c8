"""Pipelines: states of waypoints in, prompts and plan tokens out, actions back.

Legend: B rows, M waypoints, L plan tokens, K planned state dims.
"""

import json

import numpy as np
import pytest
import torch
from lerobot.lerobot_types import TransitionKey
from lerobot.policies import make_pre_post_processors
from real_tokenizer import paligemma_folder
from tiny_policies import (
    observation_batch,
    processors,
    raw_batch,
    tiny_config,
    toy_statistics,
    training_batch,
    training_run,
    walks,
)

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.text_tokenizer import FileTokenizer, read_tokenizer_file
from lerobot_policy_waypoint_vla.plan_step import (
    EXPERT_MASK,
    EXPERT_TOKENS,
    HEADER_TOKENS,
    PLAN_TARGETS,
    PLAN_TOKENS,
    SEGMENT_END,
    PlanTokenizerStep,
)
from lerobot_policy_waypoint_vla.target_step import SEGMENT_DURATION, targets_of
from lerobot_policy_waypoint_vla.tokens import bins_of, expert_prompt, planner_prompt

TYPE = "waypoint_vla"
TOKENS, MASK = "observation.language.tokens", "observation.language.attention_mask"


def text_of(tokens: torch.Tensor, mask: torch.Tensor) -> str:
    """What the byte tokenizer wrote."""
    return bytes(token - 3 for token in tokens[mask].tolist() if token >= 3).decode()


def test_the_order_of_steps():
    before, after = processors(tiny_config(TYPE))
    names = [type(step)._registry_name for step in before.steps]
    assert names == [
        "rename_observations_processor",
        "to_batch_processor",
        "waypoint_vla_targets",
        "normalizer_processor",
        "zoo_exact_normalizer",
        "waypoint_vla_plan_tokenizer",
        "device_processor",
    ]
    assert [type(step)._registry_name for step in after.steps] == [
        "zoo_exact_unnormalizer",
        "unnormalizer_processor",
        "device_processor",
    ]


def normalised(config, states: np.ndarray) -> np.ndarray:
    """Planned dims of raw states, by the formula: quantiles, clipped; grippers by their threshold."""
    stats = toy_statistics()["observation.state"]
    scaled = np.clip(2 * (states - stats["q01"]) / (stats["q99"] - stats["q01"]) - 1, -1, 1)
    return np.concatenate([scaled[..., :6], states[..., 6:7] > 0.02], axis=-1).astype(np.float32)


# Training.


@pytest.mark.parametrize("fill", ["last", "zero"])
def test_plans_are_the_waypoints_ahead(fill):
    config = tiny_config(TYPE, terminal_fill=fill, num_waypoints=5)
    raw, batch = raw_batch(config, batch=6), training_batch(config, batch=6)
    index = raw["index"].numpy()
    targets = targets_of(walks()[0], config)
    plan = targets.plan(index, 5)
    state = normalised(config, plan.state_BMS)
    if fill == "zero":
        state[~plan.real_BM] = 0
    layout = config.layout
    expected = layout.encode(state, plan.duration_BM)
    assert batch[PLAN_TOKENS].tolist() == expected.tolist()
    states_count = plan.real_BM | plan.terminal_BM if fill == "last" else plan.real_BM
    learned = layout.supervised(states_count, plan.real_BM | plan.terminal_BM)
    assert batch[PLAN_TARGETS].tolist() == learned.tolist()
    assert plan.terminal_BM.any(), "an episode ends within a plan"


@pytest.mark.parametrize(("mode", "candidates"), [("suffix", 1), ("slide", 1), ("mixed", 2), ("shift", 5)])
def test_segments_end_at_normalised_states(mode, candidates):
    config = tiny_config(TYPE, frame_mode=mode)
    raw, batch = raw_batch(config), training_batch(config)
    found = targets_of(walks()[0], config).segments(raw["index"].numpy(), mode, 2)
    assert batch[SEGMENT_DURATION].tolist() == found.duration_BC.tolist()
    assert batch[SEGMENT_END].shape == (3, candidates, 7)
    torch.testing.assert_close(
        batch[SEGMENT_END], torch.from_numpy(normalised(config, found.end_BCS)), atol=1e-5, rtol=0
    )


def test_the_state_is_the_planned_part_in_one_unit():
    config = tiny_config(TYPE)
    raw, batch = raw_batch(config), training_batch(config)
    expected = torch.from_numpy(normalised(config, raw["observation.state"].numpy()))
    torch.testing.assert_close(batch["observation.state"], expected, atol=1e-5, rtol=0)


def test_prompts_hold_task_and_state():
    config = tiny_config(TYPE)
    raw, batch = raw_batch(config), training_batch(config)
    bins = bins_of(batch["observation.state"][:, :6].numpy(), 300)
    for row, task in enumerate(raw["task"]):
        numbers = " ".join(map(str, bins[row]))
        gripper = "open" if batch["observation.state"][row, 6] else "closed"
        planner = text_of(batch[TOKENS][row], batch[MASK][row])
        assert planner == f"Task: {task}, State: {numbers}, Gripper: {gripper};\n"
        assert text_of(batch[EXPERT_TOKENS][row], batch[EXPERT_MASK][row]) == f"Task: {task}, \n"
        header = batch[HEADER_TOKENS][row]
        assert text_of(header, torch.ones_like(header).bool()) == "Action: "


def test_actions_have_their_gripper_in_the_unit():
    config = tiny_config(TYPE)
    raw, batch = raw_batch(config), training_batch(config)
    assert torch.equal(batch["action"][..., 6], 1 - raw["action"][..., 6].clamp(0, 1))
    assert batch["action"].abs().max() <= 1


def test_acting_and_training_write_the_same_prompts():
    config = tiny_config(TYPE)
    training, acting = training_batch(config), observation_batch(config)
    shared = (TOKENS, MASK, EXPERT_TOKENS, EXPERT_MASK, HEADER_TOKENS, "observation.state")
    assert all(torch.equal(training[key], acting[key]) for key in shared)
    assert not {PLAN_TOKENS, PLAN_TARGETS, SEGMENT_END, SEGMENT_DURATION} & acting.keys()


def test_an_evaluation_in_the_middle_of_training_looks_nothing_up():
    """Observations of an environment have no action; the run is still bound."""
    config = tiny_config(TYPE)
    raw = {key: value for key, value in raw_batch(config).items() if not key.startswith("action")}
    with training_run(config):
        batch = processors(config)[0](raw)
    assert PLAN_TOKENS not in batch


# Acting.


def test_grippers_go_back_to_commands():
    config = tiny_config(TYPE)
    _, after = processors(config)
    chunk = torch.zeros(1, 7)
    for unit, command in ((0.0, 1.0), (0.2, 1.0), (0.8, -1.0), (1.0, -1.0)):
        chunk[0, 6] = unit
        assert after(chunk)[0, 6] == command


def test_a_checkpoint_carries_layout_grippers_and_statistics(tmp_path):
    config = tiny_config(TYPE)
    for pipeline in processors(config):
        pipeline.save_pretrained(tmp_path)
    before, after = make_pre_post_processors(config, pretrained_path=str(tmp_path))
    raw = {k: v for k, v in raw_batch(config).items() if k not in ("action", "action_is_pad", "index")}
    expected, got = processors(config)[0](raw), before(raw)
    assert all(torch.equal(got[key], expected[key]) for key in expected if "waypoint" in key or key == TOKENS)
    chunk = torch.rand(2, 7)
    assert torch.equal(after(chunk), processors(config)[1](chunk))


# Refusals.


def test_a_batch_without_its_frame_index_is_refused():
    config = tiny_config(TYPE)
    raw = raw_batch(config)
    del raw["index"]
    with training_run(config), pytest.raises(ZooError, match=r"which frame each row is(.|\n)*lerobot-train"):
        processors(config)[0](raw)


def test_a_batch_of_another_dataset_is_refused():
    config = tiny_config(TYPE)
    raw = raw_batch(config)
    raw["observation.state"] = raw["observation.state"] + 1
    with training_run(config), pytest.raises(ZooError, match="not the frame that its index names"):
        processors(config)[0](raw)


def test_all_tasks_are_measured_before_the_first_step():
    config = tiny_config(TYPE, prompt_max_len=60)
    raw = raw_batch(config) | {"task": ["go"] * 3}
    with training_run(config), pytest.raises(ZooError) as refusal:
        processors(config)[0](raw)
    message = str(refusal.value)
    assert "put the red block into the bowl" in message, "a task of the dataset, not of the batch"
    # Three digits and a blank for each of six numbers, and the longer word.
    longest = "Task: put the red block into the bowl, State: 100 100 100 100 100 100, Gripper: closed;\n"
    assert f"--policy.prompt_max_len={len(longest) + 1}" in message


def test_a_state_that_is_not_finite_is_refused():
    config = tiny_config(TYPE)
    raw = {k: v for k, v in raw_batch(config).items() if not k.startswith("action")}
    raw["observation.state"] = raw["observation.state"].clone()
    raw["observation.state"][1, 2] = float("nan")
    with pytest.raises(ZooError, match=r"not finite(.|\n)*1 values"):
        processors(config)[0](raw)


def test_an_observation_without_state_is_refused():
    config = tiny_config(TYPE)
    raw = {k: v for k, v in raw_batch(config).items() if k not in ("action", "observation.state")}
    with pytest.raises(ZooError, match=r"robot's state, and there is none(.|\n)*--rename_map"):
        processors(config)[0](raw)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_layout": "bins256"}, "token_layout cannot change"),
        (
            {"continuous_state_dims": [0, 1, 2, 3, 4], "ignored_state_dims": [5, 7]},
            "continuous_state_dims cannot change",
        ),
    ],
)
def test_a_checkpoint_keeps_its_tokens(tmp_path, changes, words):
    processors(tiny_config(TYPE))[0].save_pretrained(tmp_path)
    processors(tiny_config(TYPE))[1].save_pretrained(tmp_path)
    config = tiny_config(TYPE, **changes)
    # LeRobot reports what a step refuses as a ValueError with its text.
    with training_run(config), pytest.raises(ValueError, match=words):
        make_pre_post_processors(config, pretrained_path=str(tmp_path))


# PaliGemma's own tokenizer, where it is at hand.


@pytest.fixture
def paligemma() -> str:
    return paligemma_folder()


def test_the_published_sequence(paligemma):
    """122 tokens in all with the footer, which follows what is predicted and is not written here."""
    step = PlanTokenizerStep(paligemma, continuous=list(range(6)), grippers=[6]).read_file()
    bins = np.array([186, 147, 159, 228, 159, 158])
    state = torch.tensor([[*((2 * bins + 1) / 300 - 1), 1.0]], dtype=torch.float32)
    transition = {
        TransitionKey.OBSERVATION: {"observation.state": state},
        TransitionKey.COMPLEMENTARY_DATA: {"task": ["pick up the milk and place it in the basket"]},
    }
    made = step(transition)[TransitionKey.OBSERVATION]
    number = {
        0: 235276, 1: 235274, 2: 235284, 4: 235310, 5: 235308, 6: 235318, 7: 235324, 8: 235321, 9: 235315,
    }  # fmt: skip
    digits = [token for value in bins for token in (235248, *(number[int(d)] for d in str(value)))]
    task = [7071, 235292, 4788, 908, 573, 9512, 578, 2040, 665, 575, 573, 12220, 235269]
    prefix = [2, *task, 3040, 235292, *digits, 235269, 11517, 2391, 235292, 2174, 235289, 108]
    assert made[TOKENS][0].tolist() == prefix
    assert len(prefix) == 47
    assert made[HEADER_TOKENS][0].tolist() == [4022, 235292, 235248]
    assert made[EXPERT_TOKENS][0].tolist() == [2, *task, 235248, 108]
    assert len(made[EXPERT_TOKENS][0]) == 16


def test_closed_is_one_token_too(paligemma):
    tokenizer = FileTokenizer(read_tokenizer_file(paligemma), paligemma)
    assert tokenizer.encode(", Gripper: closed;\n") == [235269, 11517, 2391, 235292, 7337, 235289, 108]


def test_the_longest_published_prompts(paligemma):
    """LIBERO-10's longest instruction, with numbers of three digits."""
    tokenizer = FileTokenizer(read_tokenizer_file(paligemma), paligemma)
    task = "put the white mug on the left plate and put the yellow and white mug on the right plate"
    planner, expert = planner_prompt(task, [100] * 6, [True]), expert_prompt(task)
    assert (1 + len(tokenizer.encode(planner)), 1 + len(tokenizer.encode(expert))) == (56, 25)


# Published statistics.


@pytest.mark.parametrize(("width", "fits"), [(6, True), (8, True), (7, False)])
def test_published_statistics_have_the_continuous_dims_alone(tmp_path, width, fits):
    """Six of eight: the gripper needs no scale, the second finger is not seen."""
    stats = toy_statistics()
    content = {"num_transitions": 9}
    for key, name, count in (("action", "action", 7), ("observation.state", "proprio", width)):
        fields = ("mean", "std", "min", "max", "q01", "q99")
        content[name] = {field: stats[key][field][:count].tolist() for field in fields}
    path = tmp_path / "dataset_statistics.json"
    path.write_text(json.dumps(content))
    config = tiny_config(TYPE, stats_source="file", stats_path=str(path))
    raw = {k: v for k, v in raw_batch(config).items() if not k.startswith("action")}
    with training_run(config):
        if not fits:
            with pytest.raises(
                ZooError, match=r"observation.state in (.|\n)*7 dimensions(.|\n)*8 dimensions"
            ):
                processors(config)
            return
        before = processors(config)[0]
    expected = processors(tiny_config(TYPE))[0](raw)["observation.state"]
    assert torch.equal(before(raw)["observation.state"], expected)
