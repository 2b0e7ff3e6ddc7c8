"""Whether LeRobot's own discovery finds the zoo, and any other plugin that means to be found."""

from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

from packaging.utils import canonicalize_name

from lerobot_plugins.doctor.finding import OK, PROBLEM, Finding
from lerobot_plugins.doctor.versions import DISTRIBUTION

# LeRobot 0.6 imports a module named exactly like each distribution whose name starts with one of these.
PREFIXES = ("lerobot_robot_", "lerobot_camera_", "lerobot_teleoperator_", "lerobot_policy_", "lerobot_env_")
REINSTALL = f"pip uninstall -y {DISTRIBUTION}, repeat until none is left, then install it again"


def check_discovery() -> Finding:
    """Our distribution under its exact name, once; no plugin under a name that LeRobot passes over."""
    # A broken installation can leave metadata without a name.
    installed = [item for item in distributions() if item.metadata["Name"]]
    ours = [item for item in installed if canonicalize_name(item.name) == canonicalize_name(DISTRIBUTION)]
    if not ours:
        return _problem(f"{DISTRIBUTION} is not installed here", "pip install lerobot_policy_zoo")
    if hyphenated := _passed_over(ours):
        return _problem(f"installed as {hyphenated}, a name that LeRobot passes over in silence", REINSTALL)
    if stale := _differing(ours):
        return _problem(f"installed more than once, not alike: {stale}", REINSTALL)
    if others := _passed_over(installed):
        do = "ask their authors for underscores in the distribution's name"
        return _problem(f"LeRobot passes over {others}: it only knows names with underscores", do)
    return Finding("discovery", OK, f"LeRobot finds {DISTRIBUTION} {ours[0].version}")


def _problem(detail: str, do: str) -> Finding:
    return Finding("discovery", PROBLEM, detail, do)


def _passed_over(installed: Iterable[Distribution]) -> str:
    """Names that are a plugin's but for their punctuation."""
    meant = tuple(canonicalize_name(prefix.rstrip("_")) + "-" for prefix in PREFIXES)
    return ", ".join(
        sorted(
            item.name
            for item in installed
            if canonicalize_name(item.name).startswith(meant) and not item.name.startswith(PREFIXES)
        )
    )


def _differing(ours: list[Distribution]) -> str:
    """Version and place of each copy, when they differ in version or entry points.

    An editable install is often listed twice, by its metadata in the environment and in the sources.
    """
    faces = {(item.version, tuple(sorted(item.entry_points))) for item in ours}
    if len(faces) == 1:
        return ""
    return ", ".join(f"{item.version} in {item.locate_file('')}" for item in ours)
