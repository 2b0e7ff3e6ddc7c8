"""The policy: what trains, what counts in its losses, how segments follow one another.

Legend: B rows, H chunk length, A action dims, C candidate segments, K planned state dims.
"""

import numpy as np
import pytest
import torch
from tiny_policies import (
    ACTION_WIDTH,
    observation_batch,
    processors,
    raw_batch,
    tiny_policy,
    training_batch,
)

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.policy.batches import select_rows
from lerobot_policy_waypoint_vla.target_step import SEGMENT_DURATION

TYPE = "waypoint_vla"
ENCODER, EXPERT = "model.paligemma_with_expert.paligemma.model.", "model.paligemma_with_expert.gemma_expert."


@pytest.fixture(scope="module")
def shared():
    return tiny_policy(TYPE)


@pytest.fixture(scope="module")
def batch(shared):
    return training_batch(shared.config, batch=4)


def gradients(policy, batch) -> dict[str, torch.Tensor]:
    policy.train()(batch)[0].backward()
    return {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}


def parts(names) -> set[str]:
    """Which of backbone, expert, own planner and projections some parameters belong to."""
    kinds = {ENCODER: "paligemma", EXPERT: "expert", "model.planner.": "planner"}
    return {
        next((kind for start, kind in kinds.items() if name.startswith(start)), "heads") for name in names
    }


# What trains.


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"paligemma", "expert", "heads"}),
        ({"gradient_strategy": "stop"}, {"paligemma", "expert", "heads"}),
        ({"gradient_strategy": "freeze"}, {"expert", "heads"}),
        ({"loss_mode": "vlm"}, {"paligemma"}),
        ({"loss_mode": "ae"}, {"paligemma", "expert", "heads"}),
        ({"loss_mode": "ae", "gradient_strategy": "freeze"}, {"expert", "heads"}),
        ({"separate_planner": True}, {"paligemma", "planner", "expert", "heads"}),
        ({"separate_planner": True, "loss_mode": "vlm"}, {"planner"}),
        ({"separate_planner": True, "loss_mode": "ae"}, {"paligemma", "expert", "heads"}),
        ({"separate_planner": True, "gradient_strategy": "freeze"}, {"planner", "expert", "heads"}),
        ({"freeze_token_table": True}, {"paligemma", "expert", "heads"}),
        ({"freeze_language_model": True, "freeze_vision_tower": True}, {"expert", "heads"}),
        ({"duration_mode": "adarms_concat"}, {"paligemma", "expert", "heads"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_what_trains_gets_a_gradient_and_nothing_else_is_trained(batch, changes, expected):
    policy = tiny_policy(TYPE, **changes)
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    assert set(gradients(policy, batch)) == trained
    assert parts(trained) == expected


def test_where_the_table_is_kept_its_rows_differences_train(batch):
    policy = tiny_policy(TYPE, freeze_token_table=True)
    found = gradients(policy, batch)
    assert found["model.token_rows.weight"].abs().max() > 0
    assert not any("embed_tokens" in name for name in found)
    assert not tiny_policy(TYPE).model.token_rows.weight.requires_grad


@pytest.mark.parametrize("strategy", ["none", "scale", "stop"])
def test_what_the_experts_loss_trains_in_the_backbone(batch, strategy):
    """The planner's gradient is whole in each; the expert's is added whole, scaled, or not at all."""

    def backbone(**changes: object) -> dict[str, torch.Tensor]:
        policy = tiny_policy(TYPE, proprio_noise_std=0.0, **changes)
        return {n: g for n, g in gradients(policy, batch).items() if n.startswith(ENCODER)}

    planner = backbone(expert_loss_weight=0.0)
    whole = backbone(gradient_strategy="none")
    found = backbone(gradient_strategy=strategy, gradient_scale=0.3)
    share = {"none": 1.0, "scale": 0.3, "stop": 0.0}[strategy]
    for name, gradient in found.items():
        expected = planner[name] + share * (whole[name] - planner[name])
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)
    moved = [name for name in whole if not torch.allclose(whole[name], planner[name], atol=1e-7)]
    assert len(moved) > 30, "the expert's loss reaches pictures, prompt and layers"


def test_checkpointing_reaches_every_layer(batch):
    plain = tiny_policy(TYPE)
    saving = tiny_policy(TYPE, gradient_checkpointing=True)
    calls: dict[str, int] = {}
    for name, module in saving.named_modules():
        if type(module).__name__ in ("SiglipEncoderLayer", "ExpertLayer") or name.endswith("mlp.down_proj"):
            # Before: recomputation stops as soon as it has what it needs.
            module.register_forward_pre_hook(
                lambda *_, name=name: calls.__setitem__(name, calls.get(name, 0) + 1)
            )
    expected, found = gradients(plain, batch), gradients(saving, batch)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7)
    towers = [count for name, count in calls.items() if "vision_tower" in name]
    layers = [count for name, count in calls.items() if "gemma_expert" in name and "mlp" not in name]
    # Planner and expert each run the language layers, the expert not the last layer's MLP.
    language = [count for name, count in calls.items() if "language_model" in name and "vision" not in name]
    assert towers == [2] * len(towers)
    assert layers == [2] * len(layers)
    assert language == [4, 4, 2]


# What counts.


def expert_term(policy, batch):
    rng = np.random.default_rng(0)
    terms, _ = policy.loss_terms(batch, rng)
    return next(term for term in terms if term.per_action)


@pytest.mark.parametrize("duration", [1, 3, 8])
def test_actions_behind_the_segment_count_nowhere(shared, batch, duration):
    given = dict(batch) | {SEGMENT_DURATION: torch.full_like(batch[SEGMENT_DURATION], duration)}
    term = expert_term(shared, given)
    assert term.error.shape == (4, 8, ACTION_WIDTH)
    counted = term.weight.expand_as(term.error)
    assert counted.sum(dim=(1, 2)).tolist() == [duration * ACTION_WIDTH] * 4
    # What lies behind is not even seen: its data is zero in the noisy action.
    changed = dict(given)
    changed["action"] = given["action"].clone()
    changed["action"][:, duration:] += 5
    assert torch.equal(expert_term(shared, changed).error[:, :duration], term.error[:, :duration])


def test_padded_dims_count_when_asked(batch):
    policy = tiny_policy(TYPE, loss_over_padded_dims=True)
    assert expert_term(policy, batch).error.shape == (4, 8, 32)


def test_a_frame_without_a_segment_counts_nowhere(shared, batch):
    given = dict(batch)
    given[SEGMENT_DURATION] = batch[SEGMENT_DURATION].clone()
    given[SEGMENT_DURATION][0] = 0
    assert not expert_term(shared, given).weight[0].any()
    assert torch.isfinite(shared(given)[0])


def test_both_candidates_are_drawn(shared, batch):
    """From `mixed`, each with probability one half; never one that is not there."""
    given = dict(batch)
    given[SEGMENT_DURATION] = torch.tensor([[2, 5], [2, 5], [0, 5], [2, 0]])
    drawn = torch.stack(
        [shared._training_goal(given, np.random.default_rng(seed)).duration_B for seed in range(200)]
    )
    assert set(drawn[:, 0].tolist()) == {2, 5}
    assert (drawn[:, 0] == 2).float().mean().item() == pytest.approx(0.5, abs=0.12)
    assert set(drawn[:, 2].tolist()) == {5}
    assert set(drawn[:, 3].tolist()) == {2}


def test_noise_on_states_leaves_grippers_alone(batch):
    policy = tiny_policy(TYPE, proprio_noise_std=0.5).train()
    goal = policy._training_goal(batch, np.random.default_rng(0))
    start = batch["observation.state"]
    inside = start[:, :6].abs() < 1
    assert (goal.start_BK[:, :6] != start[:, :6])[inside].all()
    assert goal.start_BK[:, :6].abs().max() <= 1
    assert torch.equal(goal.start_BK[:, 6], start[:, 6])
    assert not goal.start_BK[:, 7:].any()
    policy.eval()
    assert torch.equal(policy._training_goal(batch, np.random.default_rng(0)).start_BK[:, :7], start)


def test_the_logs_tell_the_losses_and_accuracies_apart(shared, batch):
    loss, logs = shared(batch)
    accuracies = {"accuracy_number", "accuracy_gripper", "accuracy_duration"}
    assert set(logs) == {"loss_planner", "loss_expert", "pad_fraction"} | accuracies
    assert loss.item() == pytest.approx(logs["loss_planner"] + logs["loss_expert"], rel=1e-5)
    doubled = tiny_policy(TYPE, expert_loss_weight=2.0)
    assert doubled(batch)[0].item() == pytest.approx(logs["loss_planner"] + 2 * logs["loss_expert"], rel=1e-4)


def test_modes_compute_their_own_loss(shared, batch):
    _, logs = shared(batch)
    for mode, name in (("vlm", "loss_planner"), ("ae", "loss_expert")):
        loss, own = tiny_policy(TYPE, loss_mode=mode)(batch)
        assert loss.item() == pytest.approx(logs[name], rel=1e-4)
        assert {"loss_planner", "loss_expert"} & set(own) == {name}


def test_a_batch_without_a_plan_is_refused(shared):
    given = observation_batch(shared.config)
    with pytest.raises(ZooError, match="no plan to learn"):
        shared(given | {"action": torch.zeros(3, 8, ACTION_WIDTH)})


# Pictures.


def test_training_crops_at_random_and_acting_in_the_middle(shared, batch):
    policy = tiny_policy(TYPE).train()
    crops = [policy.see(batch, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert all(torch.equal(a, b) for a, b in zip(crops[0], crops[1], strict=True))
    assert not torch.equal(crops[0][0], crops[2][0])
    middle = shared.see(batch)
    plain = tiny_policy(TYPE, image_augmentation=False).see(batch)
    assert not torch.equal(middle[0], plain[0])
    assert torch.equal(middle[0], shared.see(batch)[0])


# Acting.


@pytest.fixture
def observation(shared):
    return observation_batch(shared.config, batch=3)


class Watched:
    """What a policy announces while rows of a batch act."""

    def __enter__(self):
        trace.start()
        return self

    def __exit__(self, *_):
        trace.stop()

    @staticmethod
    def step(policy, observation) -> tuple[torch.Tensor, list, list]:
        action = policy.select_action(observation)
        rows = range(len(action))
        chunks = [trace._chunk_by_row.pop(row, None) for row in rows]
        return action, chunks, [trace.take_plan(row) for row in rows]


@pytest.mark.parametrize("segments", [1, 2, 0])
def test_segments_follow_one_another(segments, observation):
    """A chunk is as long as its segment; after `segments` of them the plan is made anew."""
    policy = tiny_policy(TYPE, segments_per_plan=segments, max_stalled_plans=0)
    left, since_plan, plan = [0] * 3, [0] * 3, [None] * 3
    with Watched() as watch:
        for _ in range(30):
            _, chunks, plans = watch.step(policy, observation)
            for row in range(3):
                if plans[row] is not None:
                    assert left[row] == 0, "no plan while a segment is executed"
                    if plan[row] is not None:
                        length = plan[row].index(0) if 0 in plan[row] else 7
                        assert since_plan[row] == min(segments or length, length)
                    plan[row], since_plan[row] = plans[row].duration_M.tolist(), 0
                if chunks[row] is not None:
                    assert left[row] == 0
                    left[row] = len(chunks[row])
                    assert left[row] == plan[row][since_plan[row]]
                    since_plan[row] += 1
                left[row] -= 1
    assert all(plan)


def test_environments_act_as_if_alone(shared, observation):
    """Rows run dry at different steps, and do not notice each other."""
    shared.reset()
    together = torch.stack([shared.select_action(observation) for _ in range(20)])
    for row in range(3):
        shared.reset()
        own = select_rows(observation, [row], 3)
        alone = torch.stack([shared.select_action(own) for _ in range(20)])
        torch.testing.assert_close(alone[:, 0], together[:, row], rtol=0, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_seed_decides_everything(observation, temperature):
    policy = tiny_policy(TYPE, planner_temperature=temperature)

    def acted(seed: int) -> torch.Tensor:
        policy.config.eval_seed = seed
        policy.reset()
        torch.rand(3)
        return torch.stack([policy.select_action(observation) for _ in range(12)])

    assert torch.equal(acted(1), acted(1))
    assert not torch.equal(acted(1), acted(2))


def test_plans_are_announced_in_the_units_of_the_state(shared, observation):
    before, _ = processors(shared.config)
    raw = {k: v for k, v in raw_batch(shared.config).items() if k not in ("action", "action_is_pad")}
    shared.reset()
    with Watched() as watch:
        _, _, plans = watch.step(shared, before(raw))
        state_map = trace.state_map()
    plan = plans[0]
    assert plan.state_MS.shape == (7, 8)
    assert np.isnan(plan.state_MS[:, 7]).all(), "the second finger is not planned"
    assert np.isfinite(plan.state_MS[:, :7]).all()
    assert (plan.continuous_dims, plan.gripper_dims) == (tuple(range(6)), (6,))
    assert set(plan.state_MS[:, 6].tolist()) <= {0.0, 1.0}
    assert plan.rule == shared.config.waypoint_rule
    stats = state_map.inverse(torch.from_numpy(plan.state_MS))
    assert torch.isfinite(stats[:, :7]).all()


def test_what_training_never_supervised_stays_noise(observation):
    """Steps behind the segment and padded dims; or they evolve, as published."""
    chunks = {}
    for held in (True, False):
        policy = tiny_policy(TYPE, hold_padding=held)
        chunk_BHA = policy.predict_action_chunk(observation)
        policy.reset()
        with Watched() as watch:
            _, announced, _ = watch.step(policy, observation)
        lengths = [len(chunk) for chunk in announced]
        assert min(lengths) < 8
        behind = torch.cat([chunk[length:] for chunk, length in zip(chunk_BHA, lengths, strict=True)])
        chunks[held] = behind
    torch.testing.assert_close(chunks[True], torch.zeros_like(chunks[True]), rtol=0, atol=1e-5)
    assert chunks[False].abs().max() > 0.1


def test_segments_end_where_the_plan_says(observation):
    """The start is the observed state or the planned end before it."""
    for source in ("observed", "planned"):
        policy = tiny_policy(TYPE, segments_per_plan=2, start_state=source, max_stalled_plans=0)
        seen = []
        whole = policy.act

        def watched(batch, pictures, segments, noise, whole=whole, seen=seen):
            seen.extend(segments)
            return whole(batch, pictures, segments, noise)

        policy.act = watched
        one = select_rows(observation, [0], 3)
        for _ in range(17):
            policy.select_action(one)
        first, second = seen[:2]
        assert torch.equal(first.start_K, one["observation.state"][0])
        expected = first.end_K if source == "planned" else one["observation.state"][0]
        assert torch.equal(second.start_K, expected)


def test_adapters_refuse_a_frozen_paligemma(tmp_path):
    policy = tiny_policy(TYPE, gradient_strategy="freeze")
    policy.config.pretrained_path = tmp_path
    with pytest.raises(ZooError, match="adapters would change it"):
        policy.wrap_with_peft()
