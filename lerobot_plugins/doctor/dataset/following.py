"""Actions that their states do not follow: reversed, in another unit, late, of another episode, or at all.

P pairs of action and state, W wide delays.
"""

import math

import numpy as np

from lerobot_plugins.doctor.dataset.agreement import NEAR_S, Agreement
from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, listed, number, ok, problem, warning
from lerobot_plugins.doctor.dataset.pursuit import PURSUES

_NAME = "agreement"
_FOLLOWS, _IGNORES = 0.7, 0.3
#: A state correlated like that follows, whichever way it goes in between.
_WELL = 0.9
_CLEARLY = 0.1  # radians of deviation, from which on a motion is more than noise and friction
#: The share of ways towards the action from which on a delay is slowness, no clock.
_SLOW = 0.85
_SCALES = {math.pi / 180: "degrees", 180 / math.pi: "radians", 0.01: "0 to 100", 100.0: "0 to 1"}
_SCALED_STATE = {"degrees": "radians", "radians": "degrees", "0 to 100": "0 to 1", "0 to 1": "0 to 100"}
# State may lead the action by a frame (kinaesthetic teaching), no more.
_EARLY = 2


def following_findings(agreement: Agreement, fps: float, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Whether the robot does what the action says."""
    free_P = np.array(
        [
            a not in claimed and s not in claimed
            for a, s in zip(agreement.actions, agreement.states, strict=True)
        ],
        dtype=bool,
    )
    moving_P = agreement.moving & free_P
    if not moving_P.any():
        return [ok(_NAME, "no action moves that has a state of the same name")] if free_P.any() else []
    findings = _scaled(agreement, moving_P, claimed)
    if not _are_positions(agreement, moving_P):
        return findings or [ok(_NAME, "not compared: actions are no positions of the state's joints")]
    if late := _late(agreement, fps, moving_P):
        return [*findings, late]
    findings += _reversed(agreement, moving_P, claimed)
    findings += _other_episodes(agreement) or _ignored(agreement, moving_P, claimed)
    count = int(moving_P.sum())
    median = float(np.median(agreement.correlation[moving_P]))
    return findings or [
        ok(_NAME, f"the state follows {count} moving actions (median correlation {median:.2f})")
    ]


def _are_positions(agreement: Agreement, moving_P: np.ndarray) -> bool:
    """Whether most states follow, now or with a large delay; a contract's joints are expected to."""
    known_P = np.array([action.is_joint for action in agreement.actions], dtype=bool)
    if (known_P & moving_P).any():
        return True
    best_P = np.maximum(np.abs(agreement.wide_correlation).max(0), np.abs(agreement.correlation))
    return bool((best_P[moving_P] > _FOLLOWS).mean() > 0.5)


def _scaled(agreement: Agreement, moving_P: np.ndarray, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Action and state of one name in different units: degrees and radians, 0 to 100 and 0 to 1."""
    findings = []
    slope_P, correlation_P = agreement.slope, agreement.correlation
    for p in np.flatnonzero(moving_P & (correlation_P > 0.8)):
        for scale, unit in _SCALES.items():
            if not 0.8 < slope_P[p] / scale < 1.25:
                continue
            action, state = agreement.actions[p], agreement.states[p]
            claimed.update((action, state))
            make = problem if action.signal else warning
            findings.append(
                make(
                    "units",
                    f"{action} and {state} are in different units: the state changes by "
                    f"{number(float(slope_P[p]))} for 1 of the action, as if the action were in {unit} and "
                    f"the state in {_SCALED_STATE[unit]}",
                    "convert one of them, so that a policy can compare them",
                    feature=f"{action.feature} against {state.feature}",
                    columns=(action.name,),
                    value=float(slope_P[p]),
                    limit=1.0,
                )
            )
    return findings


def _late(agreement: Agreement, fps: float, moving_P: np.ndarray) -> DatasetFinding | None:
    """States that follow well, but at a delay that no robot has."""
    wide_WP = agreement.wide_correlation[:, moving_P]
    best_P = agreement.wide_W[wide_WP.argmax(0)]
    follows_P = wide_WP.max(0) > 0.85
    # Slow motion looks alike at any delay.
    gain_P = wide_WP.max(0) - agreement.correlation[moving_P]
    delay = float(np.median(best_P[follows_P])) if follows_P.any() else 0.0
    near = round(NEAR_S * fps)
    telling = follows_P & (gain_P > 0.05) & (np.abs(best_P - delay) <= max(3, 0.1 * fps))
    if telling.sum() < max(2, 0.5 * moving_P.sum()) or -_EARLY <= delay <= near:
        return None
    if delay > 0 and np.median(agreement.pursuit[moving_P][telling]) > _SLOW:
        return None
    names = [agreement.actions[p].name for p in np.flatnonzero(moving_P)[telling]]
    who = "after" if delay > 0 else "before"
    return problem(
        "timing",
        f"the state follows best {abs(delay) / fps:.2f} s ({abs(delay):.0f} frames) {who} the action "
        f"({listed(names)}): the two were recorded with different clocks",
        "align the streams by their time stamps when converting",
        feature=f"{agreement.actions[0].feature} against {agreement.states[0].feature}",
        columns=tuple(names),
        value=delay / fps,
        limit=f"0 to {NEAR_S:g} s",
    )


def _reversed(agreement: Agreement, moving_P: np.ndarray, claimed: set[Dimension]) -> list[DatasetFinding]:
    own_P = np.diag(agreement.distance)
    mirrored_P = agreement.reversed_distance
    findings = []
    for p in np.flatnonzero(moving_P & (own_P > agreement.floor)):
        if mirrored_P[p] > 0.4 * own_P[p] or mirrored_P[p] > 0.5 * agreement.spread[p]:
            continue
        action, state = agreement.actions[p], agreement.states[p]
        claimed.update((action, state))
        gripper = action.unit == "unit"
        findings.append(
            problem(
                "grippers" if gripper else _NAME,
                f"{action} is reversed: it {'opens where' if gripper else 'has the opposite sign of'} {state}"
                + (" closes" if gripper else ""),
                "turn the column around in the action or the state, whichever is not the robot's convention",
                feature=f"{action.feature} against {state.feature}",
                columns=(action.name,),
                value=float(own_P[p]),
                limit=float(mirrored_P[p]),
            )
        )
    return findings


def _ignored(agreement: Agreement, moving_P: np.ndarray, claimed: set[Dimension]) -> list[DatasetFinding]:
    """Actions without an answer. Fingers and grippers may be stopped by an object, bases be switched off."""
    correlation_P, pursuit_P = agreement.correlation, agreement.pursuit
    arm_P = np.array([a.is_joint and a.group.endswith("arm") for a in agreement.actions], dtype=bool)
    clearly_P = arm_P & (agreement.spread > _CLEARLY) & (pursuit_P < _SLOW) & (correlation_P < _WELL)
    findings = []
    for p in np.flatnonzero(moving_P & (clearly_P | (correlation_P < _IGNORES))):
        action, state = agreement.actions[p], agreement.states[p]
        if action in claimed or state in claimed or action.group in ("base", "imu"):
            continue
        claimed.update((action, state))
        slow = not clearly_P[p] and pursuit_P[p] >= PURSUES
        what = "follows only slowly" if slow else "does not follow"
        make = problem if arm_P[p] and not slow else warning
        findings.append(
            make(
                _NAME,
                f"{state} {what} {action} (correlation {correlation_P[p]:.2f}, {pursuit_P[p]:.0%} of its way "
                "leads towards it)",
                "the robot is held to a rate that its commands pass: record what it obeyed"
                if slow
                else "check that both are the same joint and of the same time",
                feature=f"{action.feature} against {state.feature}",
                columns=(action.name,),
                value=float(pursuit_P[p]),
                limit=PURSUES,
            )
        )
    return findings


def _other_episodes(agreement: Agreement) -> list[DatasetFinding]:
    """Episodes whose action belongs to another state."""
    if len(agreement.episodes) < 2:
        return []
    usual, usually_pursued = np.median(list(agreement.episodes.values()), axis=0)
    if usual < _FOLLOWS or usually_pursued < _SLOW:
        return []
    return [
        problem(
            _NAME,
            f"in episode {episode} the state does not follow the action (correlation {correlation:.2f}), "
            "as it does in the others",
            "leave the episode out, or look for the action that belongs to it",
            feature=f"{agreement.actions[0].feature} against {agreement.states[0].feature}",
            episode=episode,
            value=pursuit,
            limit=PURSUES,
        )
        for episode, (correlation, pursuit) in agreement.episodes.items()
        if pursuit < PURSUES and correlation < _FOLLOWS
    ]
