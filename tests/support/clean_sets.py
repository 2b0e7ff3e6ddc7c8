"""Clean recordings, each a maker that takes a seed."""

from collections.abc import Callable
from functools import partial

import numpy as np
from robot_recordings import Recording, record, record_foreign, record_libero

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.layout import ACTION, STATE

GR2 = partial(catalog.layout, "fourier_gr2")
LITE = partial(catalog.layout, "galaxea_r1_lite")


def grasping(seed: int) -> Recording:
    """A GR-2 whose fingers are stopped by an object, each where it touches: they never reach their action."""
    recording = record(GR2("v1_37"), seed=seed)
    rng = np.random.default_rng(seed)
    for name in recording.features[STATE]["names"]:
        if "_proximal" in name and "thumb" not in name:
            stop = -rng.uniform(0.5, 1.0)
            recording = recording.change(STATE, [name], lambda values, stop=stop: np.maximum(values, stop))
    return recording


def holding(seed: int) -> Recording:
    """An R1 Lite with both grippers on one box: they close in the same moment, and neither closes fully."""
    recording = record(LITE("arms_14_unit"), names="full", seed=seed)
    for columns in recording.episodes:
        left, right = recording.dims(ACTION, "left_gripper.pos", "right_gripper.pos")
        columns[ACTION][:, right] = columns[ACTION][:, left]
        columns[STATE][:, right] = np.maximum(columns[STATE][:, left], 0.35)
    return recording


def mirrored(seed: int) -> Recording:
    """An R1 Lite that does the same with both arms."""
    recording = record(LITE("arms_14_unit"), names="full", seed=seed)
    rng = np.random.default_rng(seed)
    for columns in recording.episodes:
        for values in columns.values():
            values[:, 7:] = values[:, :7]
        columns[STATE] += rng.normal(0, 0.002, columns[STATE].shape).astype(np.float32)
    return recording


def sagging(seed: int) -> Recording:
    """A GR-2 whose left arm is switched off: its actions hold a pose that the arm does not have."""
    recording = record(GR2("v1_37"), idle=("left_arm", "head", "waist"), seed=seed)
    rng = np.random.default_rng(seed)
    arm = [name for name in recording.features[STATE]["names"] if name.startswith(("left_", "head", "waist"))]
    sag = rng.uniform(-0.4, 0.4, len(arm))
    return recording.change(STATE, arm, lambda values: np.clip(values + sag, -0.45, 0.45).astype(np.float32))


def lagging(seed: int) -> Recording:
    """A GR-2 that answers after a fifth of a second more."""
    recording = record(GR2("v2_35"), seed=seed)
    late = recording.copy()
    for columns in late.episodes:
        columns[STATE], columns[ACTION] = columns[STATE][:-6], columns[ACTION][:-6]
        columns[ACTION][:] = columns[ACTION]
    for columns, source in zip(late.episodes, recording.episodes, strict=True):
        columns[ACTION] = source[ACTION][6:].copy()
    return late


IN_MEMORY: dict[str, Callable[..., Recording]] = {
    "GR-2, 45/37": lambda seed: record(GR2("v1_37"), seed=seed),
    "GR-2, 45/37 with suffixes": lambda seed: record(GR2("v1_37"), names="full", seed=seed),
    "GR-2, 45/35": lambda seed: record(GR2("v2_35"), seed=seed),
    "GR-2, 45/37 without names": lambda seed: record(GR2("v1_37"), names="none", seed=seed),
    "GR-2, hands in the SDK's space": lambda seed: record(GR2("v1_37_sdk_hands"), seed=seed, asked=True),
    "GR-2, one arm": lambda seed: record(
        GR2("v1_37"), idle=("left_arm", "left_hand", "head", "waist"), seed=seed
    ),
    "GR-2, without noise": lambda seed: record(GR2("v2_35"), noise=0, seed=seed),
    "GR-2, grasping": grasping,
    "GR-2, an arm switched off": sagging,
    "GR-2, slow": lagging,
    "R1 Lite, 35/20": lambda seed: record(LITE("plugin"), names="full", seed=seed),
    "R1 Lite, 14/14": lambda seed: record(LITE("arms_14_unit"), names="full", seed=seed),
    "R1 Lite, 14/14 in mm": lambda seed: record(LITE("arms_14"), names="full", seed=seed),
    "R1 Lite, both grippers on a box": holding,
    "R1 Lite, both arms alike": mirrored,
    "R1 Pro": lambda seed: record(catalog.layout("galaxea_r1_pro", "plugin"), names="full", seed=seed),
    "R1": lambda seed: record(catalog.layout("galaxea_r1", "plugin"), names="full", seed=seed),
    "R1 Pro in BEHAVIOR-1K, 23/23": lambda seed: record(
        catalog.layout("r1_pro", "state_23"), names="full", seed=seed
    ),
    "LIBERO, 8/7": lambda seed: record_libero(seed),
    "a foreign robot in degrees": lambda seed: record_foreign(seed=seed),
    "a foreign robot, actions are steps": lambda seed: record_foreign(absolute=False, seed=seed),
    "a foreign robot without names": lambda seed: record_foreign(names=False, seed=seed),
    "a foreign robot at 5 frames per second": lambda seed: record_foreign(fps=5, seed=seed),
    "a foreign robot in radians, gripper of 0 to 100": lambda seed: record_foreign(
        scale=1, noise=0.001, seed=seed
    ),
}
#: Those that are also written to disk, with how their pictures are stored.
ON_DISK = {
    "GR-2, 45/37": "video",
    "GR-2, hands in the SDK's space": "jpeg",
    "R1 Lite, 14/14 in mm": "jpeg",
    "LIBERO, 8/7": "jpeg",
    "a foreign robot, actions are steps": "jpeg",
}
