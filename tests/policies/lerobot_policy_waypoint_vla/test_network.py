"""The network: who sees whom, what a goal changes, which gradients reach the prefix, what is new.

Legend: B rows, H chunk length, P padded action dims, K padded state dims, S prefix tokens, W expert width.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lerobot_plugins.nn.flow_matching import euler_times, sinusoidal_embedding
from lerobot_plugins.nn.paligemma import build_paligemma, geometry_of, parameter_count
from lerobot_plugins.nn.prefix_encoder import Prefix
from lerobot_policy_waypoint_vla.network import LONGEST, Goal, WaypointNetwork

B, H, P, K, S = 2, 6, 32, 32, 9
BOTTOM, ROWS = 302, 338


def network(duration_token: bool = True, seed: int = 0, own_planner: bool = False) -> WaypointNetwork:
    """Tiny; every weight random, also those that start at zero."""
    geometry = geometry_of("tiny", "scratch")
    geometry["text_config"]["vocab_size"] = 640
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        planner = build_paligemma(geometry) if own_planner else None
        made = WaypointNetwork(build_paligemma(geometry), "tiny", P, K, duration_token, ROWS, planner)
        with torch.no_grad():
            for parameter in made.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.05)
    return made.eval()


@pytest.fixture(scope="module", params=[True, False], ids=["token", "condition"])
def shared(request) -> WaypointNetwork:
    return network(request.param)


def given(seed: int = 0) -> tuple[Tensor, Tensor, Goal, Tensor, Tensor]:
    """Embedded prefixes (B, S, D) of different length, a goal, noisy actions, times."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    goal = Goal(rand(B, K), rand(B, K), torch.tensor([3, 5]))
    mask_BS = torch.arange(S) < torch.tensor([[S], [5]])
    return rand(B, S, 128), mask_BS, goal, rand(B, H, P), torch.tensor([0.3, 0.9])


def encoded(net: WaypointNetwork, prefix_BSD: Tensor, mask_BS: Tensor) -> Prefix:
    return net.encoder.encode(prefix_BSD, mask_BS, keys_values=True, hidden=False)


def velocity(
    net: WaypointNetwork, prefix: Prefix, goal: Goal, x_BHP: Tensor, time_B: Tensor, scale: float = 1.0
) -> Tensor:
    context = net.goal_context(prefix, goal, x_BHP.shape[1], scale)
    return net.velocity(x_BHP, net.modulations(time_B, goal.duration_B), context)


@torch.no_grad()
def test_who_sees_whom(shared):
    """The blocks are prefix | goal | actions: a goal does not see the actions, they see it and each other."""
    prefix_BSD, mask_BS, goal, x_BHP, time_B = given()
    context = shared.goal_context(encoded(shared, prefix_BSD, mask_BS), goal, H)
    lead = context.goal_BGW.shape[1]
    assert lead == (3 if shared.duration_embed is not None else 2)
    flags = torch.tensor([0] * S + [1] + [0] * (lead - 1) + [1] + [0] * (H - 1))
    rank = flags.cumsum(0)
    expected = (rank[None] <= rank[S:, None]) & F.pad(mask_BS, (0, lead + H), value=True)[:, None]
    assert torch.equal(context.visible_B1HT[:, 0], expected)

    # And the expert obeys: a change of the last action reaches all actions and no goal token.
    modulations = shared.modulations(time_B, goal.duration_B)
    tokens = torch.cat([context.goal_BGW, shared.action_in_proj(x_BHP)], dim=1)
    changed = tokens.clone()
    changed[:, -1] += 1
    before, after = (shared.expert(x, modulations, context) for x in (tokens, changed))
    moved = (after - before).abs().amax(dim=-1) > 1e-5
    assert moved.tolist() == [[False] * lead + [True] * H] * B


@torch.no_grad()
def test_rows_are_as_if_alone_and_unpadded(shared):
    """Positions go on behind the real tokens of a prefix."""
    prefix_BSD, mask_BS, goal, x_BHP, time_B = given()
    together = velocity(shared, encoded(shared, prefix_BSD, mask_BS), goal, x_BHP, time_B)
    for row in range(B):
        one = slice(row, row + 1)
        real = int(mask_BS[row].sum())
        own = Goal(goal.start_BK[one], goal.end_BK[one], goal.duration_B[one])
        alone = velocity(
            shared, encoded(shared, prefix_BSD[one, :real], mask_BS[one, :real]), own, x_BHP[one], time_B[one]
        )
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("part", ["start_BK", "end_BK", "duration_B"])
def test_every_part_of_the_goal_matters(shared, part):
    prefix_BSD, mask_BS, goal, x_BHP, time_B = given()
    prefix = encoded(shared, prefix_BSD, mask_BS)
    other = Goal(**(vars(goal) | {part: getattr(goal, part) + 1}))
    moved = velocity(shared, prefix, other, x_BHP, time_B) - velocity(shared, prefix, goal, x_BHP, time_B)
    assert (moved.abs().amax(dim=(1, 2)) > 1e-4).all()


@torch.no_grad()
def test_start_and_end_are_told_apart():
    """By their places alone: they share an encoder. Sharp attention shows it."""
    net = network()
    for layer in net.expert.layers:
        layer.self_attn.q_proj.weight *= 30
        layer.self_attn.k_proj.weight *= 30
    prefix_BSD, mask_BS, goal, x_BHP, time_B = given()
    prefix = encoded(net, prefix_BSD, mask_BS)
    turned = Goal(goal.end_BK, goal.start_BK, goal.duration_B)
    moved = velocity(net, prefix, turned, x_BHP, time_B) - velocity(net, prefix, goal, x_BHP, time_B)
    assert moved.abs().max() > 1e-3


# Time and duration.


def test_the_sinusoid_of_times_and_durations():
    def wave(value: float, dim: int = 8) -> list[float]:
        return sinusoidal_embedding(torch.tensor([value]), dim)[0].tolist()

    assert wave(1.0) == pytest.approx([0, 0, 0, 1, 1, 1, -1, 0], abs=1e-5)
    assert wave(0.5) == pytest.approx([0, 0, 1, 0.70710678, 1, -1, 0, 0.70710678], abs=1e-5)
    expected = {
        8: [-0.61815899, 0.37166246] * 2 + [-0.78605309, 0.92836793] * 2,
        1: [
            *(-0.45822652, -0.99886734, 0.45822652, 0.04758192),
            *(-0.88883545, 0.04758192, 0.88883545, 0.99886734),
        ],
        32: [
            *(0.45822652, 0.99886734, 0.45822652, 0.99886734),
            *(-0.88883545, 0.04758192, -0.88883545, 0.04758192),
        ],
    }
    for duration, values in expected.items():
        # The table was made in float64; a share in float32 turns the fastest wave by 5e-5 rad.
        assert wave(duration / LONGEST) == pytest.approx(values, abs=1e-4)
    wide = wave(8 / 33, 1024)
    assert [wide[i] for i in (0, 1, 511, 512, 1023)] == pytest.approx(
        [-0.61815899, -0.96489853, 0.37166246, -0.78605309, 0.92836793], abs=1e-4
    )
    assert math.hypot(*wide) == pytest.approx((1024 / 2) ** 0.5)


@torch.no_grad()
def test_the_steps_table_equals_step_by_step(shared):
    _, _, goal, _, _ = given()
    times = euler_times(4)
    table = shared.step_modulations(times, goal)
    for time, step in zip(times, table, strict=True):
        single = shared.modulations(torch.full((B,), time), goal.duration_B)
        for mine, theirs in zip(step, single, strict=True):
            torch.testing.assert_close(mine.expand_as(theirs), theirs)


@torch.no_grad()
def test_in_the_condition_only_a_duration_without_weight_is_none():
    """What pi0.5's weights start from: the time's half of the projection, and zeros."""
    net = network(duration_token=False)
    width = net.expert.width
    net.time_mlp_in.weight[:, width:] = 0
    first, other = (net.modulations(torch.tensor([0.4]), torch.tensor([d])) for d in (3, 30))
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


# Sampling.


@torch.no_grad()
def test_sampling_equals_euler_steps_of_the_velocity(shared):
    prefix_BSD, mask_BS, goal, noise_BHP, _ = given()
    prefix = encoded(shared, prefix_BSD, mask_BS)
    times = euler_times(5)
    context = shared.goal_context(prefix, goal, H, in_place=True)
    got = shared.denoise(context, shared.step_modulations(times, goal), noise_BHP)
    x = noise_BHP
    for time in times:
        x = x - velocity(shared, prefix, goal, x, torch.full((B,), time)) / 5
    torch.testing.assert_close(got, x, rtol=0, atol=1e-4)


@torch.no_grad()
def test_held_elements_keep_their_share_of_noise(shared):
    """What training never supervised is t * noise there, so it is when sampling."""
    prefix_BSD, mask_BS, goal, noise_BHP, _ = given()
    context = shared.goal_context(encoded(shared, prefix_BSD, mask_BS), goal, H, in_place=True)
    held_BHP = (torch.arange(H) >= goal.duration_B[:, None])[..., None].expand(-1, -1, P)
    seen = []

    def watch(x_t: Tensor, time: float, original_denoise_step_partial: object) -> Tensor:
        seen.append((time, x_t))
        return original_denoise_step_partial(x_t)

    steps = shared.step_modulations(euler_times(5), goal)
    got = shared.denoise(context, steps, noise_BHP, guide=watch, held_BHA=held_BHP)
    for time, x_BHP in seen:
        torch.testing.assert_close(x_BHP[held_BHP], time * noise_BHP[held_BHP])
    torch.testing.assert_close(got[held_BHP], torch.zeros(int(held_BHP.sum())), rtol=0, atol=1e-6)
    assert got[~held_BHP].abs().min() > 0


# Gradients.


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
def test_the_gradient_into_the_prefix_is_scaled_literally(scale):
    prefix_BSD, mask_BS, goal, x_BHP, time_B = given()

    def gradients(scale: float) -> tuple[Tensor, dict[str, Tensor | None]]:
        net = network()
        v = velocity(net, encoded(net, prefix_BSD, mask_BS), goal, x_BHP, time_B, scale)
        v.square().mean().backward()
        return v.detach(), {name: parameter.grad for name, parameter in net.named_parameters()}

    (v_full, full), (v, scaled) = gradients(1.0), gradients(scale)
    torch.testing.assert_close(v, v_full, rtol=0, atol=1e-6)
    reached = 0
    for name, gradient in full.items():
        if gradient is None:
            continue
        if "paligemma.model" in name:
            reached += 1
            if scale == 0:
                assert scaled[name] is None, name
            else:
                torch.testing.assert_close(scaled[name], scale * gradient, rtol=1e-4, atol=1e-8)
        else:
            torch.testing.assert_close(scaled[name], gradient, rtol=1e-4, atol=1e-8)
    assert reached > 10


# Plan tokens.


@torch.no_grad()
@pytest.mark.parametrize("own_planner", [False, True])
def test_differences_count_in_lookup_and_head_alike(own_planner):
    net = network(own_planner=own_planner)
    ids = torch.tensor([[BOTTOM, 400, 639]])
    table = net.planner_encoder.language_model.embed_tokens
    whole = table.weight[BOTTOM:] + net.token_rows.weight
    expected = whole[ids[0] - BOTTOM] * 128**0.5
    torch.testing.assert_close(net.embed_plan(ids, BOTTOM)[0], expected)
    torch.testing.assert_close(net.head(ids[0], BOTTOM), whole[ids[0] - BOTTOM])
    hidden_ND = torch.randn(5, 128)
    logits_NV = net.logits(hidden_ND, BOTTOM)
    torch.testing.assert_close(logits_NV[:, :BOTTOM], hidden_ND @ table.weight[:BOTTOM].T)
    torch.testing.assert_close(logits_NV[:, BOTTOM:], hidden_ND @ whole.T)
    assert (net.planner_encoder is net.encoder) is not own_planner


# Size.


@pytest.mark.parametrize(("duration_token", "total"), [(True, 3_353.50), (False, 3_354.52)])
def test_the_published_number_of_weights(duration_token, total):
    """Without the expert's unused head; the differences for plan tokens come on top."""
    geometry = geometry_of("paligemma_3b", "scratch")
    geometry["text_config"]["vocab_size"] = 257152
    with torch.device("meta"):
        net = WaypointNetwork(build_paligemma(geometry), "gemma_300m", 32, 32, duration_token, ROWS)
    count = parameter_count(net) - net.token_rows.weight.numel()
    assert count / 1e6 == pytest.approx(total, abs=0.005)
