"""What the dimensions of a policy's actions are called."""

import json
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.dimension_names import flat_names


def action_names(folder: Path, config: Any, width: int, dataset: Path | None = None) -> list[str]:
    """One name per dimension: of the given dataset, of the policy, of the dataset it was trained on if that
    is still there, else `action_0` and so on.

    Raises:
        ZooError: The given dataset has actions of another width.
    """
    if dataset is not None:
        names = _names_in(dataset)
        if len(names) != width:
            raise ZooError(
                f"the actions of {dataset} are not the policy's",
                got=f"{len(names)} names",
                expected=f"{width}",
                do="give the dataset the policy was trained on, or leave --root out",
            )
        return names
    trained = folder / "train_config.json"
    root = (json.loads(trained.read_text()).get("dataset") or {}).get("root") if trained.is_file() else None
    for known in (getattr(config, "action_feature_names", None), _names_in(Path(root)) if root else None):
        if known and len(known) == width:
            return list(known)
    return [f"action_{dimension}" for dimension in range(width)]


def _names_in(dataset: Path) -> list[str]:
    info = dataset / "meta" / "info.json"
    if not info.is_file():
        return []
    names = json.loads(info.read_text())["features"].get("action", {}).get("names")
    return flat_names(names)
