"""Print the intrinsics of LIBERO's cameras as an option of `lerobot-train`.

    python -m lerobot_env_libero_depth --task=libero_object --task_ids=[3,8]

Takes the options of `--env.type=libero_depth`. The simulator is opened for each task named; by default for
the first of each suite.
"""

import sys

import draccus

from lerobot_env_libero_depth.config import LiberoDepthEnv
from lerobot_plugins.errors import ZooError


def camera_intrinsics(config: LiberoDepthEnv) -> dict[str, list[float]]:
    """Feature of a camera -> [fx, fy, cx, cy, width, height].

    Raises:
        ZooError: Tasks have different cameras.
    """
    found: dict[str, dict[str, list[float]]] = {}
    if config.task_ids is None:
        config.task_ids = [0]
    for suite, tasks in config.create_envs(n_envs=1).items():
        for task, env in tasks.items():
            found[f"{suite} {task}"] = env.envs[0].camera_intrinsics()
            env.close()
    first, *others = found.values()
    if any(other != first for other in others):
        raise ZooError(
            "tasks have different cameras",
            got="; ".join(f"{name}: {values}" for name, values in found.items()),
            expected="the same intrinsics, as a policy stores them once",
            do="name tasks with equal cameras in --task and --task_ids",
        )
    return first


def option(found: dict[str, list[float]]) -> str:
    """Intrinsics as an option of `lerobot-train`, quoted for a shell."""
    cameras = ", ".join(
        f"{camera}: [{', '.join(f'{value:.10g}' for value in values)}]" for camera, values in found.items()
    )
    return f"--policy.camera_intrinsics='{{{cameras}}}'"


def main() -> int:
    config = draccus.parse(LiberoDepthEnv)
    try:
        text = option(camera_intrinsics(config))
    except ZooError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
