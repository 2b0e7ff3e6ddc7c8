"""Statistics wherever they lie: in a dataset, in a checkpoint, in a file."""

from pathlib import Path

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.formats import read_statistics_file
from lerobot_plugins.statistics.recorded import names_of, read_info


def statistics_at(place: Path) -> Described:
    """What a dataset stores, what a policy normalises with, or what a file holds.

    Args:
        place: A dataset's folder, a policy's or checkpoint's folder, or a file.

    Raises:
        ZooError: It is none of these.
    """
    if (place / "meta" / "info.json").is_file():
        place = place / "meta" / "stats.json"
    if place.is_file():
        root = place.parent.parent if place.name == "stats.json" else place
        return Described(read_statistics_file(place), str(place), _names(root))
    # Reading safetensors files needs torch, which takes seconds to import.
    from lerobot_plugins.checkpoints.statistics import is_policy, policy_statistics

    if is_policy(place):
        return policy_statistics(place)
    raise ZooError(
        f"{place} holds no statistics",
        got="a folder that is neither" if place.is_dir() else "nothing",
        expected="a LeRobotDataset, a policy with its processors, or a file of statistics",
        do="give the dataset's folder, the folder pretrained_model of a checkpoint, or the file",
    )


def _names(root: Path) -> dict[str, list[str]]:
    return names_of(read_info(root)["features"]) if (root / "meta" / "info.json").is_file() else {}
