"""Time stamps against the frame rate that the dataset states.

LeRobot finds a frame's picture by its time stamp and gives up where it is more than 0.1 ms off.

T frames.
"""

import numpy as np

from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, ok, problem
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_TOLERANCE_S = 1e-4
_TIMESTAMP = "timestamp"


class Clock:
    """`timestamp` of every episode: frame / fps.

    Args:
        fps: Frames per second, as the dataset says.
    """

    name = "timestamps"

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._backward: list[Place] = []
        self._off: list[tuple[Place, float, float]] = []
        self._rates: list[tuple[int, float]] = []
        self._episodes = 0

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        self._episodes += 1
        time_T = episode.columns[_TIMESTAMP][:, 0].astype(np.float64)
        finite_T = np.isfinite(time_T)
        if not finite_T.all():
            frame = int((~finite_T).argmax())
            self._off.append((Place(episode.index, frame), float(time_T[frame]), frame / self._fps))
            return
        expected_T = np.arange(len(time_T)) / self._fps
        # float32 holds a time of t seconds to about t / 10 million.
        off_T = np.abs(time_T - expected_T) > _TOLERANCE_S + 2.4e-7 * expected_T
        if not off_T.any():
            return
        step_T = np.diff(time_T)
        if (step_T <= 0).any():
            self._backward.append(Place(episode.index, int((step_T <= 0).argmax()) + 1))
            return
        usual = float(np.median(step_T)) if len(step_T) else 1 / self._fps
        if (
            len(step_T) > 1
            and abs(usual * self._fps - 1) > 0.02
            and (np.abs(step_T - usual) < 0.2 * usual).mean() > 0.9
        ):
            self._rates.append((episode.index, 1 / usual))
            return
        frame = int(off_T.argmax())
        self._off.append((Place(episode.index, frame), float(time_T[frame]), float(expected_T[frame])))

    def findings(self) -> list[DatasetFinding]:
        """One for each kind of fault, at its first place."""
        findings = []
        if self._rates:
            episode, rate = self._rates[0]
            findings.append(
                problem(
                    "fps",
                    f"time stamps are {1 / rate:.4f} s apart ({rate:.1f} frames per second) in "
                    f"{len(self._rates)} of {self._episodes} episodes, info.json says {self._fps:g}",
                    "put the true rate into meta/info.json, or write the time stamps anew: frame / fps",
                    feature=_TIMESTAMP,
                    episode=episode,
                    value=round(rate, 2),
                    limit=self._fps,
                )
            )
        if self._backward:
            place = self._backward[0]
            findings.append(
                problem(
                    self.name,
                    f"time stands still or runs backward at {place} (episodes: {len(self._backward)})",
                    "put the frames in order when converting",
                    feature=_TIMESTAMP,
                    episode=place.episode,
                    frame=place.frame,
                )
            )
        if self._off:
            place, value, expected = self._off[0]
            findings.append(
                problem(
                    self.name,
                    f"the time of {place} is {value:.4f} s; at {self._fps:g} frames per second it is "
                    f"{expected:.4f} s "
                    f"(episodes: {len(self._off)})",
                    "a gap, or real times: resample the episode when converting; LeRobot counts frames",
                    feature=_TIMESTAMP,
                    episode=place.episode,
                    frame=place.frame,
                    value=value,
                    limit=expected,
                )
            )
        return findings or [ok(self.name, f"frame / {self._fps:g} in all {self._episodes} episodes")]
