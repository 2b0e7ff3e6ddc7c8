"""Columns in another order than their names: swapped arms and fingers, shifted grippers.

Columns p and q are taken for exchanged when each action lies nearer to the other one's state than to its own,
and together far nearer: a circle of preferences. One preference alone says nothing (a finger that an object
stops, beside one that closes). A circle of columns that all rest may be chance, if a limb is switched off.

P pairs of action and state.
"""

import numpy as np

from lerobot_plugins.doctor.dataset.agreement import Agreement
from lerobot_plugins.doctor.dataset.dimensions import Dimension, mirrored
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, listed, number, ok, problem, warning

#: Distances to the other's state as a part of that to the own: of each column, of a whole circle, in a chain.
NEARER, CIRCLE_NEARER, CHAIN_NEARER = 0.75, 0.5, 0.4
#: Resting columns tell by their values alone: these must be all but equal.
RESTING_NEARER = 0.05
#: So many preferences in a row are a shift, though they end at a column that has no counterpart.
CHAIN = 4


def order_findings(agreement: Agreement, claimed: set[Dimension]) -> list[DatasetFinding]:
    """One finding for each set of columns that stand in each other's place."""
    if len(agreement) < 2:
        return []
    distance_PP = agreement.distance
    free = [
        p
        for p in range(len(agreement))
        if agreement.actions[p] not in claimed and agreement.states[p] not in claimed
    ]
    moved = _in_order_of_action(agreement, distance_PP, free)
    prefers = _preferences(agreement, distance_PP, [p for p in free if p not in moved])
    moved |= _in_circles(prefers, distance_PP)
    findings = []
    for members in _parts(moved, agreement):
        if _has_order_of_action(members, moved, agreement):
            # Grippers whose units differ say nothing themselves, but are in it too.
            places = [(agreement.actions[p].index, agreement.states[p].index) for p in range(len(agreement))]
            members = [p for p, (place, other) in enumerate(places) if place != other]
        names = tuple(agreement.actions[p].name for p in members)
        first = max((p for p in members if p in moved), key=lambda p: float(distance_PP[p, p]))
        other = moved[first]
        action, state = agreement.actions[first], agreement.states[first]
        claimed.update(agreement.actions[p] for p in members)
        claimed.update(agreement.states[p] for p in members)
        make = problem if _is_sure(members, moved, agreement, distance_PP) else warning
        findings.append(
            make(
                "order",
                f"{_title(members, moved, agreement)}: {_mapping(members, moved, agreement)}. "
                f"{action} and {state} are {number(float(distance_PP[first, first]))} apart on average, "
                f"{action.name} of the action and {agreement.states[other].name} of the state only "
                f"{number(float(distance_PP[first, other]))}",
                "find out whether the state or the action has the wrong order, and exchange its columns or "
                "its names in meta/info.json",
                feature=f"{action.feature} against {state.feature}",
                columns=names,
                value=float(distance_PP[first, first]),
                limit=float(distance_PP[first, other]),
            )
        )
    if not findings:
        findings.append(ok("order", f"{len(agreement)} actions lie nearest to the states of their own names"))
    return findings


def _in_order_of_action(agreement: Agreement, distance_PP: np.ndarray, free: list[int]) -> dict[int, int]:
    """For each action the state at its place, if these fit far better wherever the two orders differ."""
    at_place = {agreement.states[q].index: q for q in free}
    moved = {
        p: at_place[agreement.actions[p].index]
        for p in free
        if agreement.actions[p].is_joint and at_place.get(agreement.actions[p].index, p) != p
    }
    moved = {p: q for p, q in moved.items() if agreement.states[q].is_joint}
    sure = len(moved) >= CHAIN and all(
        distance_PP[p, q] < CHAIN_NEARER * distance_PP[p, p] for p, q in moved.items()
    )
    return moved if sure else {}


def _preferences(agreement: Agreement, distance_PP: np.ndarray, free: list[int]) -> dict[int, int]:
    """For each action whose own state is far off, the state that is nearer."""
    prefers = {}
    for p in free:
        nearest = min(free, key=lambda q: float(distance_PP[p, q]))
        own = distance_PP[p, p]
        if own > agreement.floor[p] and distance_PP[p, nearest] < NEARER * own:
            prefers[p] = nearest
    return prefers


def _in_circles(prefers: dict[int, int], distance_PP: np.ndarray) -> dict[int, int]:
    """The preferences that are part of a circle that is far nearer, or of a long chain of which each is."""
    kept: dict[int, int] = {}
    strong = {p: q for p, q in prefers.items() if distance_PP[p, q] < CHAIN_NEARER * distance_PP[p, p]}
    for start in prefers:
        path, end = _path(start, prefers)
        own = sum(float(distance_PP[p, p]) for p in path)
        other = sum(float(distance_PP[p, prefers[p]]) for p in path)
        if end == start and other < CIRCLE_NEARER * own:
            kept |= {p: prefers[p] for p in path}
        path, end = _path(start, strong)
        if end not in path and len(path) >= CHAIN:
            kept |= {p: prefers[p] for p in path}
    return kept


def _path(start: int, prefers: dict[int, int]) -> tuple[list[int], int]:
    """The columns from `start` on, and where the path ends: at one of them, or at one that prefers none."""
    path, p = [], start
    while p in prefers and p not in path:
        path.append(p)
        p = prefers[p]
    return path, p


def _is_sure(
    members: list[int], moved: dict[int, int], agreement: Agreement, distance_PP: np.ndarray
) -> bool:
    """Whether an action moves and the other's state moves like it, or all but equal each other's."""
    spread_P, moving_P = agreement.spread, agreement.moving
    told = [p for p in members if p in moved]
    if any(moving_P[p] and distance_PP[p, moved[p]] < 0.5 * spread_P[p] for p in told):
        return True
    return all(distance_PP[p, moved[p]] < RESTING_NEARER * distance_PP[p, p] for p in told)


def _parts(moved: dict[int, int], agreement: Agreement) -> list[list[int]]:
    """The moved columns in parts that say one thing: both arms, a hand, a chain."""
    part_of: dict[int, int] = {}
    for p, q in moved.items():
        low, high = sorted((part_of.setdefault(p, p), part_of.setdefault(q, q)))
        part_of = {m: low if part == high else part for m, part in part_of.items()}
    labels: dict[int, object] = {}
    for part in set(part_of.values()):
        members = [p for p, own in part_of.items() if own == part]
        if all(_is_mirror(p, moved.get(p), agreement) for p in members):
            labels[part] = "mirrored"
        else:
            groups = frozenset(agreement.actions[p].group for p in members)
            labels[part] = groups if groups != {""} else part
    parts: dict[object, list[int]] = {}
    for p in sorted(part_of):
        parts.setdefault(labels[part_of[p]], []).append(p)
    return list(parts.values())


def _is_mirror(p: int, q: int | None, agreement: Agreement) -> bool:
    return q is not None and mirrored(agreement.actions[p].name) == agreement.actions[q].name


def _title(members: list[int], moved: dict[int, int], agreement: Agreement) -> str:
    groups = list(dict.fromkeys(agreement.actions[p].group for p in members if agreement.actions[p].group))
    if all(_is_mirror(p, moved.get(p), agreement) for p in members):
        return "left and right are exchanged" + (f" ({', '.join(groups)})" if groups else "")
    if _has_order_of_action(members, moved, agreement):
        return "the state's numbers lie in the action's order"
    return (
        f"columns of {' and '.join(groups)} stand in another order"
        if groups
        else "columns stand in another order"
    )


def _has_order_of_action(members: list[int], moved: dict[int, int], agreement: Agreement) -> bool:
    """Whether the state holds, at each place, what the action has at that place."""
    by_place = {action.index: p for p, action in enumerate(agreement.actions)}
    edges = [(p, moved[p]) for p in members if p in moved]
    return len(edges) >= CHAIN and all(by_place.get(agreement.states[q].index) == p for p, q in edges)


def _mapping(members: list[int], moved: dict[int, int], agreement: Agreement) -> str:
    texts = [
        f"{agreement.states[moved[p]].name} of the state follows {agreement.actions[p].name} of the action"
        for p in members
        if p in moved
    ]
    return listed(texts, 14)
