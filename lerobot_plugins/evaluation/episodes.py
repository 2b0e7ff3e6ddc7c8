"""What an open-loop evaluation keeps on disk: one manifest, one file per finished episode.

    DIR/run.json                      which dataset, episodes, statistics, tolerance; how it was made
    DIR/episodes/episode_000003.npz   recorded and predicted actions, chunks, a few camera pictures

Metrics, figures and the report are computed from these files alone, so an interrupted evaluation loses no
finished episode and a report can be rebuilt without the dataset or the policy.

Shapes: T frames of an episode, A action dimensions, C published chunks of H steps, P pictures.
"""

import dataclasses
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.evaluation.files import to_json, write_atomically
from lerobot_plugins.evaluation.plans import EpisodePlans
from lerobot_plugins.evaluation.scores import ActionRange

KIND, SCHEMA_VERSION = "open_loop_evaluation", 1
MANIFEST = "run.json"
EPISODE_FOLDER = "episodes"
RESULT_FILES = ("metrics.json", "predictions.csv", "inference_log.txt", "actions.png", "report.html")


@dataclass(frozen=True)
class Run:
    """The manifest: everything about an evaluation that is known before the first prediction.

    Args:
        repo_id: The dataset.
        fps: Its frames per second.
        episodes: The chosen episodes, in the order they are played.
        action_names: One name per action dimension.
        action_min: The dataset's minimum per dimension, raw units.
        action_max: Its maximum.
        action_mean: Its mean.
        statistics_sha256: Hash of the statistics file these came from.
        hold_reason: Why the current state cannot serve as a baseline action; None where it can.
        tolerance: An episode succeeds when the mean absolute normalised error of its executed actions is at
            most this.
        command: The command line that ran the evaluation.
        versions: Distribution -> version.
        started: Local date and time, ISO 8601.
        state_names: One name per dimension of `observation.state`, where the dataset gives them.
    """

    repo_id: str
    fps: float
    episodes: list[int]
    action_names: list[str]
    action_min: list[float]
    action_max: list[float]
    action_mean: list[float]
    statistics_sha256: str | None
    hold_reason: str | None
    tolerance: float
    command: str
    versions: dict[str, str]
    started: str
    state_names: list[str] | None = None

    def state_name(self, dim: int) -> str:
        """The name of a dimension of `observation.state`, or its number."""
        return self.state_names[dim] if self.state_names else f"state {dim}"

    @property
    def action_range(self) -> ActionRange:
        return ActionRange(np.asarray(self.action_min, float), np.asarray(self.action_max, float))


@dataclass
class Episode:
    """One evaluated episode. Predictions that were not finite are NaN.

    Args:
        index: The episode's index in the dataset.
        task_T: The task text of each frame.
        timestamp_T: Seconds from the start.
        recorded_TA: Recorded actions, raw units.
        predicted_TA: Executed actions, raw units.
        hold_TA: The state as an action, where the dataset allows it.
        chunk_start_C: The frame at which each chunk was predicted.
        chunk_CHA: The chunks, raw units, NaN behind their length; empty for policies that publish none.
        chunk_length_C: Steps of each chunk that mean something; None for all, as in files that do not know
            of lengths.
        plans: What a policy that plans intended; None for others.
        subtasks: Frame and text of each subtask that a policy wrote or went on with; None for others.
        picture_frame_P: Frames of which camera pictures are kept.
        picture_PHWC: The pictures, uint8 RGB, cameras side by side.
    """

    index: int
    task_T: list[str]
    timestamp_T: np.ndarray
    recorded_TA: np.ndarray
    predicted_TA: np.ndarray
    hold_TA: np.ndarray | None
    chunk_start_C: np.ndarray
    chunk_CHA: np.ndarray
    chunk_length_C: np.ndarray | None = None
    plans: EpisodePlans | None = None
    subtasks: list[tuple[int, str]] | None = None
    picture_frame_P: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    picture_PHWC: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))

    @property
    def chunk_lengths(self) -> np.ndarray:
        """Steps of each chunk that mean something."""
        chunks, horizon = self.chunk_CHA.shape[:2]
        return np.full(chunks, horizon) if self.chunk_length_C is None else self.chunk_length_C


def save_run(folder: Path, run: Run) -> None:
    """Write the manifest."""
    content = {"schema_version": SCHEMA_VERSION, "kind": KIND, **dataclasses.asdict(run)}
    write_atomically(folder / MANIFEST, to_json(content))


def load_run(folder: Path) -> Run:
    """Read the manifest.

    Raises:
        ZooError: The folder holds no open-loop evaluation, or one of another schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ZooError(
            f"{folder} holds no open-loop evaluation",
            got=first_names(p.name for p in folder.iterdir()) if folder.is_dir() else "no such folder",
            expected=f"a folder with {MANIFEST}",
            do="name the report_dir of an evaluation with --env.type=dataset_replay",
        )
    try:
        content = json.loads(path.read_text())
        kind, version = content.pop("kind"), content.pop("schema_version")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ZooError(f"{path} is damaged or of another kind", got=repr(error)) from None
    if (kind, version) != (KIND, SCHEMA_VERSION):
        raise ZooError(
            f"{path} has another schema", got=f"{kind} {version}", expected=f"{KIND} {SCHEMA_VERSION}"
        )
    try:
        return Run(**content)
    except TypeError as error:
        raise ZooError(f"{path} is damaged", got=error) from None


def is_ours(folder: Path) -> bool:
    """Whether a folder holds an open-loop evaluation."""
    try:
        load_run(folder)
    except ZooError:
        return False
    return True


def clear(folder: Path) -> None:
    """Remove an earlier evaluation's files, and nothing else."""
    for name in (*RESULT_FILES, MANIFEST):
        (folder / name).unlink(missing_ok=True)
        (folder / f".{name}.tmp").unlink(missing_ok=True)
    for path in (folder / EPISODE_FOLDER).glob("*"):
        if re.fullmatch(r"\.?episode_\d+\.npz(\.tmp)?", path.name):
            path.unlink()


def save_episode(folder: Path, episode: Episode) -> None:
    """Write one finished episode."""
    tasks = sorted(set(episode.task_T))
    arrays = {
        "index": np.asarray(episode.index),
        "tasks": np.asarray(tasks),
        "task_index_T": np.asarray([tasks.index(task) for task in episode.task_T]),
        "timestamp_T": episode.timestamp_T,
        "recorded_TA": episode.recorded_TA,
        "predicted_TA": episode.predicted_TA,
        "chunk_start_C": episode.chunk_start_C,
        "chunk_CHA": episode.chunk_CHA,
        "picture_frame_P": episode.picture_frame_P,
        "picture_PHWC": episode.picture_PHWC,
    }
    if episode.hold_TA is not None:
        arrays["hold_TA"] = episode.hold_TA
    if episode.chunk_length_C is not None:
        arrays["chunk_length_C"] = episode.chunk_length_C
    if episode.plans is not None:
        arrays |= episode.plans.to_arrays()
    if episode.subtasks is not None:
        arrays["subtask_frame_S"] = np.array([frame for frame, _ in episode.subtasks])
        arrays["subtask_text_S"] = np.array([text for _, text in episode.subtasks])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(_path(folder, episode.index), buffer.getvalue())


def load_episodes(folder: Path, run: Run) -> list[Episode]:
    """The finished episodes, in the order they were chosen.

    Raises:
        ZooError: An episode's file is damaged.
    """
    return [
        _load_episode(path, len(run.action_names))
        for path in (_path(folder, index) for index in run.episodes)
        if path.exists()
    ]


def _subtasks(arrays: Mapping[str, np.ndarray]) -> list[tuple[int, str]] | None:
    if "subtask_frame_S" not in arrays:
        return None
    frames, texts = arrays["subtask_frame_S"].tolist(), arrays["subtask_text_S"].tolist()
    return list(zip(frames, texts, strict=True))


def _load_episode(path: Path, dims: int) -> Episode:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            episode = Episode(
                index=int(arrays["index"]),
                task_T=[str(task) for task in arrays["tasks"][arrays["task_index_T"]]],
                hold_TA=arrays.get("hold_TA"),
                chunk_length_C=arrays.get("chunk_length_C"),
                plans=EpisodePlans.from_arrays(arrays),
                subtasks=_subtasks(arrays),
                **{
                    name: arrays[name]
                    for name in (
                        "timestamp_T",
                        "recorded_TA",
                        "predicted_TA",
                        "chunk_start_C",
                        "chunk_CHA",
                        "picture_frame_P",
                        "picture_PHWC",
                    )
                },
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ZooError(f"{path} is damaged", got=repr(error), do="run the evaluation again") from None
    expected = (len(episode.task_T), dims)
    if not expected == episode.recorded_TA.shape == episode.predicted_TA.shape:
        raise ZooError(f"{path} does not fit {MANIFEST}", got=episode.predicted_TA.shape, expected=expected)
    return episode


def _path(folder: Path, index: int) -> Path:
    return folder / EPISODE_FOLDER / f"episode_{index:06d}.npz"
