"""Merge datasets of one form: pictures and videos keep their bytes, statistics are exact over all frames.

Episodes are staged out of the parts as a conversion stages them, and assembled by the same code; so a merge
may be killed and continued, and the parts of a split conversion become what the whole would have been.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lerobot_plugins import __version__
from lerobot_plugins.conversion.assembly import Assembly
from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.matching import differences
from lerobot_plugins.conversion.part import Part
from lerobot_plugins.conversion.provenance import SCHEMA_VERSION
from lerobot_plugins.conversion.quarantine import QUARANTINE_PATH
from lerobot_plugins.conversion.quarantine import SCHEMA_VERSION as QUARANTINE_SCHEMA
from lerobot_plugins.conversion.staged import StagedEpisode
from lerobot_plugins.conversion.staging import Staging, require_new
from lerobot_plugins.conversion.writer import Conversion, continuable
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import Statistics

logger = logging.getLogger(__name__)


def merge_datasets(roots: Sequence[Path], output: Path, limits: FileLimits | None = None) -> Conversion:
    """Merge LeRobotDatasets v3, in the order in which they are given.

    Args:
        roots: Their folders.
        output: The folder to create; episodes are staged in `<output>.partial`.
        limits: Sizes of files; LeRobot's own by default.

    Returns:
        What was made.

    Raises:
        ZooError: A dataset is incomplete or damaged, the datasets differ in form, parts of a split conversion
            are missing or out of order, or `output` exists.
    """
    require_new(output)
    parts = [Part.open(root) for root in roots]
    _require_one_form(parts)
    _require_whole(parts)
    limits = limits or FileLimits()
    provenance = _provenance(parts, limits)
    places = [(part, number) for part in parts for number in range(len(part.episodes))]
    staging = Staging.of(output)
    with continuable(staging, len(places)), staging.opened(json.loads(json.dumps(provenance))):
        for index, (part, number) in enumerate(tqdm(places, desc="copying", unit="episode")):
            if not staging.is_finished(index):
                with located(f"{part.root}, episode {number}"), staging.write_episode(index) as folder:
                    part.stage(number, folder)
        folders = [staging.episode(index) for index in range(len(places))]
        assembly = _MergedAssembly(parts, folders, limits, staging.dataset)
        with tqdm(total=len(folders), desc="assembling", unit="episode") as bar:
            assembly.write(provenance, bar.update)
        _write_quarantine(parts, staging.dataset)
        staging.dataset.rename(output)
        staging.remove()
    return Conversion(output, len(places), sum(assembly.lengths), {})


class _MergedAssembly(Assembly):
    """The writing of a merged dataset: what the parts know of their pictures is taken from them."""

    def __init__(
        self, parts: Sequence[Part], folders: Sequence[Path], limits: FileLimits, root: Path
    ) -> None:
        super().__init__(_Form(parts[0]), folders, "video", limits, root)  # type: ignore[arg-type]
        self.parts = parts
        self.features = {
            key: {**feature, "shape": tuple(feature["shape"])}
            for key, feature in parts[0].info["features"].items()
        }
        self.known_rows = [row for part in parts for row in part.episodes]
        counted = [part.histograms for part in parts]
        if all(histograms is not None and set(histograms) == set(self.cameras) for histograms in counted):
            for camera in self.cameras:
                self.histograms[camera] = np.sum([part.histograms[camera] for part in parts], axis=0)  # type: ignore[index]
        elif self.cameras:
            logger.warning(
                "quantiles of pictures are averages of the parts': not all parts have "
                "meta/picture_histograms.json"
            )

    def _count_pictures(self, episode: StagedEpisode) -> None:
        """They were counted in the parts."""

    def _all_pictures(self, camera: str) -> Statistics:
        if self.histograms:
            statistics = super()._all_pictures(camera)
            counts = [part.statistics[camera]["count"] for part in self.parts]
            return statistics | {"count": np.sum(counts, axis=0)}
        from lerobot.datasets.compute_stats import aggregate_feature_stats

        return aggregate_feature_stats(
            [
                {name: np.array(value) for name, value in part.statistics[camera].items()}
                for part in self.parts
            ]
        )

    def _episode_pictures(self, camera: str, index: int, episode: StagedEpisode) -> Statistics:
        prefix = f"stats/{camera}/"
        return {
            key.removeprefix(prefix): np.array(value)
            for key, value in self.known_rows[index].items()
            if key.startswith(prefix) and value is not None
        }


class _Form:
    """What an assembly asks a source for."""

    def __init__(self, part: Part) -> None:
        self.fps = part.info["fps"]
        self.robot_type = part.info.get("robot_type")
        self.features = part.info["features"]


def _require_one_form(parts: Sequence[Part]) -> None:
    if len(parts) < 2:
        raise ZooError("nothing to merge", got=f"{len(parts)} dataset", expected="at least two")
    roots = [part.root.resolve() for part in parts]
    if len(set(roots)) < len(roots):
        raise ZooError("a dataset is named twice", got=", ".join(str(part.root) for part in parts))
    for part in parts[1:]:
        if found := differences(parts[0].info, part.info):
            raise ZooError(
                f"{part.root} has another form than {parts[0].root}",
                got="; ".join(found),
                expected="the same rate, robot and features: first the latter's, then the former's",
                do="merge datasets of one form, or convert them alike",
            )


def _require_whole(parts: Sequence[Part]) -> None:
    """Parts of a split conversion must all be there, in order."""
    shards = [part.shard for part in parts]
    for one, other in pairwise(shards):
        if one is None or other is None or one[1] != other[1] or other[0] == 0:
            continue
        if one[0] >= other[0]:
            raise ZooError(
                "parts of a split conversion are out of order",
                got=", ".join(f"{shard[0]} of {shard[1]}" for shard in shards if shard),
                expected="ascending: episodes keep the order of the source",
                do="name them in order, as the shell sorts ROOT-*",
            )
    for count in {shard[1] for shard in shards if shard is not None}:
        numbers = [shard[0] for shard in shards if shard is not None and shard[1] == count]
        if missing := sorted(set(range(count)) - set(numbers)):
            raise ZooError(
                f"parts of a conversion that was split into {count} are missing",
                got=f"parts {', '.join(map(str, numbers))}",
                expected=f"also {', '.join(map(str, missing))}",
                do="convert them: the same command with the other --shard",
            )


def _provenance(parts: Sequence[Part], limits: FileLimits) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"lerobot_policy_zoo": __version__},
        "source": {"format": "merge", "parts": [part.describe() for part in parts]},
        "files": vars(limits),
        "skipped": [
            {**entry, "part": part.root.name}
            for part in parts
            for entry in (part.provenance or {}).get("skipped", [])
        ],
    }


def _write_quarantine(parts: Sequence[Part], root: Path) -> None:
    """What the parts set aside."""
    reports: list[tuple[Part, Mapping[str, Any]]] = [
        (part, part.quarantine) for part in parts if part.quarantine is not None
    ]
    if reports:
        report = {
            "schema_version": QUARANTINE_SCHEMA,
            "converted": sum(len(part.episodes) for part in parts),
            "set_aside": [
                {**entry, "part": part.root.name} for part, found in reports for entry in found["set_aside"]
            ],
        }
        text = json.dumps(report, indent=4, ensure_ascii=False) + "\n"
        (root / QUARANTINE_PATH).write_text(text, encoding="utf-8")
