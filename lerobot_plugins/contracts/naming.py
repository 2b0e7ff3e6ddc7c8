"""Names of a dataset's columns with and without `.pos` and `.vel`.

Policies see vectors, so recordings without suffixes train; but `lerobot-rollout` compares their names with
the robot's, and drops scalars that have no suffix. These helpers rename the columns of an existing dataset;
no number changes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.contracts.layout import KINDS, Layout
from lerobot_plugins.contracts.recognition import column_names
from lerobot_plugins.errors import ZooError


def with_suffixes(features: Mapping[str, Mapping[str, Any]], layout: Layout) -> dict[str, dict[str, Any]]:
    """A dataset's features with their columns named by the layout's signals, as the robot's plugin does.

    Args:
        features: `features` of `meta/info.json`.
        layout: What `catalog.recognise` found.

    Raises:
        ZooError: A feature of the layout is missing or has another width.
    """
    renamed = {key: dict(feature) for key, feature in features.items()}
    for kind in KINDS:
        for key, columns in layout.features(kind).items():
            if key not in renamed or list(renamed[key]["shape"]) != [len(columns)]:
                raise ZooError(
                    f"{key} does not have layout {layout.name}",
                    got=renamed.get(key, {}).get("shape", "missing"),
                    expected=[len(columns)],
                )
            renamed[key]["names"] = [column.signal for column in columns]
    return renamed


def without_suffixes(features: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A dataset's features with `.pos` and `.vel` taken from the names of their columns.

    Raises:
        ZooError: Two columns would get the same name (a joint's position and velocity).
    """
    renamed = {key: dict(feature) for key, feature in features.items()}
    for key, feature in renamed.items():
        names = column_names(feature)
        if names is None or not any(bare(name) != name for name in names):
            continue
        short = [bare(name) for name in names]
        if len(set(short)) < len(short):
            twice = sorted({name for name in short if short.count(name) > 1})
            raise ZooError(f"columns of {key} differ only by their suffix", got=", ".join(twice[:5]))
        feature["names"] = short
    return renamed


def rename_columns(root: Path, layout: Layout | None) -> None:
    """Rename the columns in a dataset's `meta/info.json`, at once or not at all.

    Args:
        root: The dataset's folder.
        layout: Name columns by its signals; None takes the suffixes away.

    Raises:
        ZooError: There is no such file, or it does not have the layout.
    """
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise ZooError("this is no LeRobot dataset", got=str(root), expected="a folder with meta/info.json")
    info = json.loads(path.read_text())
    features = info["features"]
    info["features"] = without_suffixes(features) if layout is None else with_suffixes(features, layout)
    staged = path.with_name("info.json.new")
    staged.write_text(json.dumps(info, indent=4, ensure_ascii=False) + "\n")
    os.replace(staged, path)
