"""`--dry-run`: read all episodes, write nothing, and say what would be made.

D the shape of one frame's value; C channels; V intensities.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lerobot_plugins.conversion import pictures, video
from lerobot_plugins.conversion.episode import ImageStorage, check
from lerobot_plugins.conversion.images import encode_labels
from lerobot_plugins.conversion.locating import SKIP_ADVICE, advised, located
from lerobot_plugins.conversion.quarantine import left_out
from lerobot_plugins.conversion.source import Episode, EpisodeSource, Frames, is_camera, is_depth, is_labels
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.images import sampled

# Enough frames to guess the size of a video from.
_ENCODED_FRAMES = 32
_LISTED_TASKS = _LISTED_EPISODES = 10
_BARS, _BAR_WIDTH = 8, 40


@dataclass(frozen=True)
class Preview:
    """What a conversion would make.

    Args:
        text: The report.
        table: The same for programs, as plain JSON, with a row for each episode.
        skipped: Episodes that cannot be converted, and why.
    """

    text: str
    table: Mapping[str, Any]
    skipped: Mapping[int, ZooError]


def preview(source: EpisodeSource, *, images: ImageStorage, on_error: str) -> Preview:
    """Read all episodes, check all pictures, and describe the dataset they would make.

    Raises:
        ZooError: An episode is damaged and `on_error` is `stop`, or no episode is good.
    """
    survey = _Survey(source, images)
    skipped: dict[int, ZooError] = {}
    damaged: dict[int, dict[str, list[int]]] = {}
    for index in tqdm(range(len(source)), desc="reading", unit="episode"):
        episode = None
        try:
            with located(f"episode {index} ({source.locate(index)})"):
                episode = source.read(index)
                survey.add(episode, index)
        except ZooError as error:
            if on_error == "stop":
                raise advised(error, SKIP_ADVICE) from error
            skipped[index] = error
            damaged[index] = {} if episode is None else survey.damaged_pictures(episode)
    if not survey.lengths:
        raise ZooError("every episode is damaged; the first:\n" + str(skipped[0]))
    lines = list(survey.describe())
    for index, reason in skipped.items():
        lines.append(f"would skip {reason}")
        for key, frames in damaged[index].items():
            lines.append(f"  damaged:  {key}, frames {', '.join(map(str, frames))}")
    rows = [row | {"damaged_pictures": damaged[row["episode"]]} for row in left_out(source, skipped)]
    table = survey.table() | {"left_out": rows}
    return Preview("\n".join(lines), table, skipped)


def _histogram(lengths: list[int]) -> Iterator[tuple[str, int, int]]:
    """How many episodes have about which length: `(frames, episodes, length of a bar)`."""
    edges = np.unique(np.linspace(min(lengths), max(lengths) + 1, _BARS + 1).astype(int)).tolist()
    counts = np.histogram(lengths, edges)[0].tolist()
    for first, end, count in zip(edges, edges[1:], counts, strict=False):
        span = f"{first}" if first == end - 1 else f"{first} to {end - 1}"
        yield span, count, -(-_BAR_WIDTH * count // max(counts))


class _Survey:
    """What has been seen of the episodes so far."""

    def __init__(self, source: EpisodeSource, images: ImageStorage) -> None:
        self.source = source
        self.images = images
        self.lengths: list[int] = []
        self.episodes: list[dict[str, Any]] = []
        self.tasks: Counter[str] = Counter()
        self.bytes = 0.0
        self.video_bytes_per_frame = 0.0
        self.lowest: dict[str, np.ndarray] = {}
        self.highest: dict[str, np.ndarray] = {}
        self.histograms: dict[str, np.ndarray] = {}

    def add(self, episode: Episode, index: int) -> None:
        """Look at one episode; a damaged one leaves no trace."""
        check(episode, self.source.features)
        looked_at = {key: self._look_at(key, episode) for key in episode.images}
        if self.images == "video" and not self.lengths:
            self.video_bytes_per_frame = sum(self._encoded_size(key, episode) for key in episode.images)
        for key, (counts_CV, n_bytes) in looked_at.items():
            self.histograms[key] = self.histograms.get(key, 0) + counts_CV
            self.bytes += n_bytes
        for key, values_TD in episode.columns.items():
            low_D, high_D = values_TD.min(axis=0), values_TD.max(axis=0)
            self.lowest[key] = np.minimum(self.lowest.get(key, low_D), low_D)
            self.highest[key] = np.maximum(self.highest.get(key, high_D), high_D)
            self.bytes += values_TD.nbytes
        tasks = list(dict.fromkeys(episode.tasks))
        self.lengths.append(len(episode.tasks))
        self.tasks.update(tasks)
        location = self.source.locate(index)
        self.episodes.append(
            {"episode": index, "location": location, "frames": len(episode.tasks), "tasks": tasks}
        )

    def damaged_pictures(self, episode: Episode) -> dict[str, list[int]]:
        """All frames of an episode whose pictures cannot be read, by camera; videos are not looked into."""
        found = {
            key: pictures.damaged(camera, self.source.features[key])
            for key, camera in episode.images.items()
            if isinstance(camera, Frames)
        }
        return {key: frames for key, frames in found.items() if frames}

    def describe(self) -> Iterator[str]:
        """The report, line by line."""
        frames, fps = sum(self.lengths), self.source.fps
        size = self.bytes + self.video_bytes_per_frame * frames
        yield f"episodes    {len(self.lengths)}, of {min(self.lengths)} to {max(self.lengths)} frames"
        yield f"frames      {frames}, {fps} a second: {frames / fps:.0f} s"
        yield from (f"    {span:<12} {'#' * bar} {count}" for span, count, bar in _histogram(self.lengths))
        for row in self.episodes[:_LISTED_EPISODES]:
            yield f"    episode {row['episode']}: {row['frames']} frames, {row['location']}"
        if len(self.episodes) > _LISTED_EPISODES:
            yield f"    and {len(self.episodes) - _LISTED_EPISODES} more (all of them: --json)"
        yield f"robot type  {self.source.robot_type}"
        yield f"size        about {size / 1e6:.1f} MB with --images {self.images}"
        yield f"tasks       {len(self.tasks)}"
        for task, episodes in self.tasks.most_common(_LISTED_TASKS):
            yield f"    {episodes} episodes: {task or '(empty text)'}"
        if len(self.tasks) > _LISTED_TASKS:
            yield f"    and {len(self.tasks) - _LISTED_TASKS} more"
        for key, feature in self.source.features.items():
            if is_camera(feature):
                yield self._describe_camera(key)
            else:
                yield from self._describe_column(key)

    def table(self) -> dict[str, Any]:
        """What `describe` says and a row for each episode, as plain JSON."""
        features = {}
        for key, feature in self.source.features.items():
            if is_camera(feature):
                found: dict[str, Any] = {"blank": self._blank(key)}
            else:
                low, high = self.lowest[key].reshape(-1), self.highest[key].reshape(-1)
                constant = np.flatnonzero(low == high).tolist()
                found = {"min": low.tolist(), "max": high.tolist(), "constant_dims": constant}
            features[key] = {**feature, "shape": list(feature["shape"]), **found}
        return {
            "schema_version": 1,
            "fps": self.source.fps,
            "robot_type": self.source.robot_type,
            "frames": sum(self.lengths),
            "lengths": [{"frames": span, "episodes": count} for span, count, _ in _histogram(self.lengths)],
            "tasks": dict(self.tasks.most_common()),
            "features": features,
            "episodes": self.episodes,
        }

    def _describe_camera(self, key: str) -> str:
        height, width, _ = self.source.features[key]["shape"]
        blank = self._blank(key)
        colour = ", ".join(f"{value:g}" for value in blank or [])
        return f"{key}  {width}x{height} pixels" + (f"  BLANK: every pixel is ({colour})" if blank else "")

    def _blank(self, key: str) -> list[float] | None:
        """The one colour of all pixels of a camera, if there is but one."""
        values_V = pictures.values(self.source.features[key])
        present = [values_V[counts_V > 0] for counts_V in self.histograms[key]]
        if any(len(values) > 1 for values in present):
            return None
        return [float(values[0]) for values in present]

    def _describe_column(self, key: str) -> Iterator[str]:
        feature = self.source.features[key]
        yield f"{key}  {feature['dtype']} {tuple(feature['shape'])}"
        low, high = self.lowest[key].reshape(-1), self.highest[key].reshape(-1)
        names = feature["names"] or [str(place) for place in np.ndindex(*feature["shape"])]
        for name, lowest, highest in zip(names, low, high, strict=True):
            span = f"CONSTANT {lowest:g}" if lowest == highest else f"{lowest:g} to {highest:g}"
            yield f"    {name:<16} {span}"

    def _look_at(self, key: str, episode: Episode) -> tuple[np.ndarray, int]:
        """Check a camera's pictures; the counts of the sampled ones, and the bytes that would be kept."""
        feature, camera = self.source.features[key], episode.images[key]
        counts_CV = pictures.no_counts(feature)
        if self.images == "jpeg" and not is_labels(feature):
            pictures.keepable(key, camera)
        if isinstance(camera, Frames):
            n_bytes = sum(map(len, pictures.verified(key, camera, feature, counts_CV)))
            return counts_CV, n_bytes if self.images == "jpeg" else 0
        for image in self._decode(key, episode, sampled(len(camera))):
            counts_CV += pictures.count(image, self.source.features[key])
        return counts_CV, 0

    def _encoded_size(self, key: str, episode: Episode) -> float:
        """Bytes of a frame of one camera, as video, judged by the beginning of an episode."""
        feature = self.source.features[key]
        frames = min(len(episode.tasks), _ENCODED_FRAMES)
        beginning = islice(self._decode(key, episode, range(frames)), frames)
        if is_labels(feature):
            return sum(len(encode_labels(image)) for image in beginning) / frames
        encoding = video.DEPTH if is_depth(feature) else video.COLOUR
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "beginning.mp4"
            video.encode(beginning, self.source.fps, feature["shape"], path, encoding)
            return path.stat().st_size / frames

    def _decode(self, key: str, episode: Episode, wanted: range) -> Iterator[np.ndarray]:
        return pictures.decoded(key, episode.images[key], self.source.features[key], wanted)
