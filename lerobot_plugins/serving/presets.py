"""What the policy calls its inputs, and what published evaluations call them.

`behavior1k` is the evaluation of BEHAVIOR-1K in OmniGibson: flat keys joined by `::`, pictures (H, W, 4)
uint8, R1 Pro's 256 numbers of proprioception, and `task_id` in place of a text.

Source: StanfordVL/BEHAVIOR-1K, `learning/eval.py` and `learning/utils/eval_utils.py`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.utils.constants import ACTION, OBS_STATE

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError
from lerobot_plugins.serving.observations import ObservationMap

BEHAVIOR1K = "behavior1k"
PRESETS = (BEHAVIOR1K,)
#: The last part of a camera's name -> the simulator's key.
CAMERAS = {
    "head": "robot_r1::robot_r1:zed_link:Camera:0::rgb",
    "left_wrist": "robot_r1::robot_r1:left_realsense_link:Camera:0::rgb",
    "right_wrist": "robot_r1::robot_r1:right_realsense_link:Camera:0::rgb",
}
PROPRIOCEPTION = "robot_r1::proprio"
# Names that openpi's weights have for these cameras.
_OTHER_NAMES = {
    "base_0_rgb": "head",
    "left_wrist_0_rgb": "left_wrist",
    "right_wrist_0_rgb": "right_wrist",
}
# Padding cameras of stock policies: absent by design.
_ABSENT = "empty_camera"


def observation_map(
    config: Any,
    given: Mapping[str, str],
    prompt: str | None = None,
    tasks: Mapping[int, str] | None = None,
    preset: str | None = None,
) -> ObservationMap:
    """How clients say what the policy of a configuration sees.

    Args:
        config: The policy's configuration.
        given: Client's key -> input of the policy; it goes before the preset's.
        prompt: See `ObservationMap`, likewise `tasks`.
        preset: One of `PRESETS`.

    Raises:
        ZooError: The policy's inputs or actions are not those of the preset's robot.
    """
    inputs = {name: f for name, f in config.input_features.items() if _ABSENT not in name}
    features = {name: tuple(f.shape) for name, f in inputs.items()}
    pictures = frozenset(name for name, f in inputs.items() if f.type.name == "VISUAL")
    conversions: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    if preset is not None:
        _require_r1_pro(config)
        named = set(given.values())
        ours = {key: name for key, name in _cameras(pictures - named, features).items() if key not in given}
        state = features.get(OBS_STATE)
        if state is not None and OBS_STATE not in named:
            ours[PROPRIOCEPTION] = OBS_STATE
            if state == (len(r1pro.STATE_NAMES),):
                conversions[OBS_STATE] = r1pro.state_from_proprioception
        given = {**ours, **given}
    return ObservationMap(features, pictures, given, prompt, tasks or {}, conversions)


def read_tasks(path: Path) -> dict[int, str]:
    """`meta/tasks.jsonl` of the demonstrations: number -> sentence, the one that policies are trained on.

    Raises:
        ZooError: The file is absent or has other rows.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        tasks = {row["task_index"]: row["task"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ZooError(
            f"{path} cannot be read",
            got=f"{type(error).__name__}: {error}",
            expected="meta/tasks.jsonl of the demonstrations: task_index and task in every line",
        ) from error
    if wrong := [(k, v) for k, v in tasks.items() if type(k) is not int or not isinstance(v, str)]:
        raise ZooError(f"{path} has a row that is no task", got=wrong[0], expected="a number and a sentence")
    return tasks


def _require_r1_pro(config: Any) -> None:
    width = tuple(config.output_features[ACTION].shape)
    if width != (len(r1pro.ACTION_NAMES),):
        raise ZooError(
            "the policy does not act as R1 Pro in BEHAVIOR-1K does",
            got=f"actions of shape {width}",
            expected=f"{len(r1pro.ACTION_NAMES)} numbers: {', '.join(r1pro.ACTION_NAMES)}",
            do="leave --preset out, and name the keys with --map",
        )


def _cameras(pictures: frozenset[str], features: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Simulator's key -> colour camera of the policy."""
    found: dict[str, str] = {}
    for name in sorted(pictures):
        last = name.rpartition(".")[2]
        key = CAMERAS.get(_OTHER_NAMES.get(last, last))
        if key is None or key in found or features[name][0] != 3:
            raise ZooError(
                f"it is not known which camera of the simulator {name} is",
                got="another camera of that name" if key in found else f"shape {features[name]}",
                expected=f"a colour camera whose name ends in {', '.join(CAMERAS)}",
                do=f"name it: --map KEY={name}",
            )
        found[key] = name
    return found
