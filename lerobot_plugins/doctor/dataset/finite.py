"""Numbers that are none: NaN and infinity."""

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, leave_out, ok, problem
from lerobot_plugins.doctor.dataset.recorded import EpisodeData


class Finite:
    """Every number of every vector feature."""

    name = "finite"

    def __init__(self, dimensions: list[Dimension]) -> None:
        self._dimensions = dimensions
        self._found: dict[Dimension, tuple[Place, str, int]] = {}
        self._frames = 0

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        self._frames += len(episode)
        for dimension in self._dimensions:
            values_T = episode.columns[dimension.feature][:, dimension.index]
            if values_T.dtype.kind != "f" or np.isfinite(values_T).all():
                continue
            bad_T = ~np.isfinite(values_T)
            frame = int(bad_T.argmax())
            first = (Place(episode.index, frame), str(values_T[frame]), 0)
            place, value, count = self._found.get(dimension, first)
            self._found[dimension] = (place, value, count + int(bad_T.sum()))

    def findings(self) -> list[DatasetFinding]:
        """One for each dimension."""
        if not self._found:
            return [ok(self.name, f"{len(self._dimensions)} numbers in {self._frames} frames are finite")]
        return [
            problem(
                self.name,
                f"{dimension} is {value} in {place}" + (f"; frames in all: {count}" if count > 1 else ""),
                f"mend the recording, or {leave_out(place.episode)}",
                feature=dimension.feature,
                columns=(dimension.name,),
                episode=place.episode,
                frame=place.frame,
                value=value,
                limit="a finite number",
            )
            for dimension, (place, value, count) in self._found.items()
        ]


def without_gaps(episode: EpisodeData) -> EpisodeData:
    """The episode with the last finite number in place of each that is not (at the start, the next)."""
    columns = {}
    for key, values_TD in episode.columns.items():
        columns[key] = values_TD
        if values_TD.dtype.kind == "f" and not np.isfinite(values_TD).all():
            columns[key] = _held(values_TD)
    return EpisodeData(episode.index, columns)


def _held(values_TD: np.ndarray) -> np.ndarray:
    good_TD = np.isfinite(values_TD)
    frames_T1 = np.arange(len(values_TD))[:, None]
    last_TD = np.maximum.accumulate(np.where(good_TD, frames_T1, -1), axis=0)
    source_TD = np.where(last_TD < 0, good_TD.argmax(0), last_TD)
    held_TD = np.take_along_axis(values_TD, source_TD, axis=0)
    return np.where(np.isfinite(held_TD), held_TD, 0)  # a column without a single number
