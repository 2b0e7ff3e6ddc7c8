"""Where a dataset lies and what its `meta/info.json` says, read without opening the dataset."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lerobot.utils.constants import ACTION, HF_LEROBOT_HOME

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.processing.dimension_names import flat_names

INFO = Path("meta/info.json")


def find_root(repo_id: str, root: Path | None) -> Path:
    """The dataset's folder: `root`, or the one LeRobot uses for `repo_id`.

    Raises:
        ZooError: There is no dataset.
    """
    folder = Path(root) if root is not None else HF_LEROBOT_HOME / repo_id
    if not (folder / INFO).is_file():
        found = first_names(path.name for path in folder.iterdir()) if folder.is_dir() else "no such folder"
        raise ZooError(
            f"dataset_replay finds no LeRobot dataset '{repo_id}' in {folder}",
            got=found or "an empty folder",
            expected=f"a folder with {INFO}",
            do=f"name its folder with --env.root=DIR, or fetch it first: "
            f"hf download {repo_id} --repo-type dataset --local-dir {folder}",
        )
    return folder


def read_info(root: Path) -> dict[str, Any]:
    """`meta/info.json` of a v3 dataset, feature shapes as tuples.

    Raises:
        ZooError: Another format version, or no 1-D `action`.
    """
    path = root / INFO
    try:
        info = json.loads(path.read_text())
        version, features = str(info["codebase_version"]), info["features"]
        for feature in features.values():
            feature["shape"] = tuple(feature["shape"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ZooError(
            f"{path} is damaged",
            got=repr(error),
            expected="JSON with codebase_version and features, each with its shape",
            do="download or convert the dataset again",
        ) from None
    if not version.startswith("v3."):
        raise ZooError(
            f"{path} describes a dataset of another format",
            got=version,
            expected="v3.0",
            do=f"python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=... --root={root} "
            "--push-to-hub=false",
        )
    if len(features.get(ACTION, {}).get("shape", ())) != 1:
        raise ZooError(
            f"{path}: open-loop evaluation compares one-dimensional actions",
            got=features[ACTION]["shape"] if ACTION in features else f"features {first_names(features)}",
            expected=f"a feature '{ACTION}' of shape (dimensions,)",
            do="choose another dataset with --env.repo_id and --env.root",
        )
    return info


def dimension_names(feature: dict[str, Any]) -> list[str] | None:
    """One name per dimension of a one-dimensional feature; None where the dataset gives none."""
    names = flat_names(feature.get("names"))
    return names if len(names) == len(set(names)) == feature["shape"][0] else None


def checked_episodes(chosen: Sequence[int] | None, total: int, root: Path) -> list[int]:
    """The chosen episodes of a dataset of `total`; all of them for None.

    Raises:
        ZooError: None chosen, one that does not exist, or one named twice.
    """
    if chosen is None:
        chosen = range(total)
    wrong = [episode for episode in chosen if not 0 <= episode < total]
    if wrong or not chosen or len(set(chosen)) != len(chosen):
        what = "does not exist" if wrong else "is named twice" if chosen else "must be named"
        raise ZooError(
            f"an episode {what} for the replay of {root}",
            got=wrong or list(chosen),
            expected=f"different episodes from 0 to {total - 1}",
            do="correct --env.episodes",
        )
    return list(chosen)
