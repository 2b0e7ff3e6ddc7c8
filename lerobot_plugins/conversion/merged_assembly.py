"""The writing of a merged dataset: what its parts know of their pictures is taken from them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_plugins.conversion.assembly import Assembly
from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.matching import ADDED_COLUMNS
from lerobot_plugins.conversion.mixing import Mixture
from lerobot_plugins.conversion.part import Part
from lerobot_plugins.conversion.staged import StagedEpisode
from lerobot_plugins.statistics.exact import Statistics

logger = logging.getLogger(__name__)


class MergedAssembly(Assembly):
    """The writing of one merged dataset.

    Args:
        parts: The datasets.
        mixture: Which of their episodes it has.
        folders: These episodes, staged.
        limits: Sizes of files.
        root: The folder to write, which must not exist.
        statistics_of: Whose `meta/stats.json` it gets; None for exact ones.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        mixture: Mixture,
        folders: Sequence[Path],
        limits: FileLimits,
        root: Path,
        statistics_of: Part | None,
    ) -> None:
        super().__init__(_Form(parts[0]), folders, "video", limits, root)  # type: ignore[arg-type]
        self.parts = parts
        self.statistics_of = statistics_of
        self.features = {
            key: {**feature, "shape": tuple(feature["shape"])}
            for key, feature in parts[0].info["features"].items()
        }
        # Of a stretch of an episode the numbers of its pictures are the episode's.
        self.known_rows = [parts[piece.part].episodes[piece.episode] for piece in mixture.pieces]
        self.times = _whole_times(mixture)
        counted = [part.histograms for part in parts]
        known = all(histograms is not None and set(histograms) == set(self.cameras) for histograms in counted)
        if known and self.times is not None:
            for camera in self.cameras:
                self.histograms[camera] = np.sum(
                    [
                        times * part.histograms[camera]  # type: ignore[index]
                        for times, part in zip(self.times, parts, strict=True)
                    ],
                    axis=0,
                )
        elif self.cameras and statistics_of is None:
            logger.warning(
                "quantiles of pictures are averages of the %s",
                "parts': not all parts have meta/picture_histograms.json"
                if not known
                else "episodes': not all episodes of a part are there equally often",
            )

    def _count_pictures(self, episode: StagedEpisode) -> None:
        """They were counted in the parts."""

    def _all_pictures(self, camera: str) -> Statistics:
        if self.histograms:
            assert self.times is not None
            statistics = super()._all_pictures(camera)
            counts = [
                times * np.array(part.statistics[camera]["count"])
                for times, part in zip(self.times, self.parts, strict=True)
            ]
            return statistics | {"count": np.sum(counts, axis=0)}
        from lerobot.datasets.compute_stats import aggregate_feature_stats

        if self.times is None:
            rows = range(len(self.known_rows))
            return aggregate_feature_stats([self._known_pictures(camera, row) for row in rows])
        each = [
            {name: np.array(value) for name, value in part.statistics[camera].items()} for part in self.parts
        ]
        for times, statistics in zip(self.times, each, strict=True):
            statistics["count"] = times * statistics["count"]
        return aggregate_feature_stats(each)

    def _episode_pictures(self, camera: str, index: int, episode: StagedEpisode) -> Statistics:
        return self._known_pictures(camera, index)

    def _known_pictures(self, camera: str, index: int) -> Statistics:
        prefix = f"stats/{camera}/"
        return {
            key.removeprefix(prefix): np.array(value)
            for key, value in self.known_rows[index].items()
            if key.startswith(prefix) and value is not None
        }

    def _write_metadata(self, provenance: Mapping[str, Any]) -> None:
        if self.statistics_of is not None:
            for key, values in self.statistics_of.statistics.items():
                if key in self.statistics and key not in ADDED_COLUMNS:
                    self.statistics[key] = {name: np.array(value) for name, value in values.items()}
        super()._write_metadata(provenance)


def _whole_times(mixture: Mixture) -> list[int] | None:
    """For each part how often all of it is there; None where some of a part is there more often."""
    whole = sum(map(sum, mixture.copies))
    if len(mixture.pieces) > whole or any(len(set(copies)) > 1 for copies in mixture.copies):
        return None
    return [copies[0] for copies in mixture.copies]


class _Form:
    """What an assembly asks a source for."""

    def __init__(self, part: Part) -> None:
        self.fps = part.info["fps"]
        self.robot_type = part.info.get("robot_type")
        self.features = part.info["features"]
