"""Rows of a vision-language-action recording as a source of episodes.

T rows; D numbers of a state or an action; A numbers of one action's step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lerobot_dataset_vla_parquet import chunks
from lerobot_dataset_vla_parquet.columns import IS_LAST, IS_TERMINAL
from lerobot_dataset_vla_parquet.episodes import Recorded
from lerobot_dataset_vla_parquet.inputs import InputFile
from lerobot_dataset_vla_parquet.options import Options
from lerobot_dataset_vla_parquet.pictures import RowPictures, black, plain, read_picture
from lerobot_dataset_vla_parquet.problems import Problem
from lerobot_dataset_vla_parquet.recording import Recording, survey
from lerobot_dataset_vla_parquet.rows import read_flag, read_prompts, read_vectors
from lerobot_plugins.conversion import images
from lerobot_plugins.conversion.parquet_rows import cursor
from lerobot_plugins.conversion.source import Episode, Frames
from lerobot_plugins.errors import ZooError

STATE, ACTION, DONE, TERMINAL = "observation.state", "action", "next.done", "next.terminal"
_CAMERA = "observation.images."


@dataclass(frozen=True)
class VlaParquetSource:
    """The episodes of a recording; an `EpisodeSource`.

    Args:
        recording: What the first pass found.
        options: What was chosen.
        features: LeRobot's features.
        episodes: The episodes, with what is wrong by these options.
        dropped: Episodes that lack pictures and are left out, as `missing_aux` says.
    """

    recording: Recording
    options: Options
    features: Mapping[str, Mapping[str, Any]]
    episodes: tuple[Recorded, ...]
    dropped: tuple[Recorded, ...] = ()

    @classmethod
    def open(
        cls, files: Sequence[InputFile], options: Options, tolerate_damage: bool = False
    ) -> "VlaParquetSource":
        """Read everything but the pictures, and find out their sizes.

        Args:
            files: The recording's files in order.
            options: What to do with them.
            tolerate_damage: Rows that break a rule fail when they are read, not now.

        Raises:
            ZooError: A file cannot be read, a column is missing, actions are chunks, or rows break a rule.
        """
        recording = survey(files, options)
        episodes = tuple(_judged(episode, recording, options) for episode in recording.episodes)
        dropped: tuple[Recorded, ...] = ()
        if options.missing_aux == "drop-episode" and not tolerate_damage:
            dropped = tuple(filter(_lacks_pictures, episodes))
            episodes = tuple(episode for episode in episodes if not _lacks_pictures(episode))
        source = cls(recording, options, {}, episodes, dropped)
        broken = [episode for episode in episodes if episode.problem is not None]
        if broken and (not tolerate_damage or len(broken) == len(episodes)):
            raise source._error(
                broken[0], f" ({len(broken) - 1} more have problems)" if len(broken) > 1 else ""
            )
        source._refuse_chunks()
        return cls(recording, options, source._features(), episodes, dropped)

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self.options.fps

    @property
    def robot_type(self) -> str:
        """LeRobot's name for the robot."""
        return self.options.robot_type

    def __len__(self) -> int:
        return len(self.episodes)

    def read(self, index: int) -> Episode:
        """One episode; raises `ZooError` if it is damaged. Its pictures are read when they are asked for."""
        episode = self.episodes[index]
        if episode.problem is not None:
            raise self._error(episode)
        columns, tasks = self._light(episode)
        return Episode(
            columns,
            {
                _CAMERA + camera: Frames(pictures, place=pictures.place)
                for camera in self._cameras()
                if (pictures := self._pictures(camera, episode))
            },
            tasks,
        )

    def locate(self, index: int) -> str:
        """Files and rows of an episode."""
        return "; ".join(
            f"{self.recording.files[part.file].name}, rows {part.start} to {part.stop - 1}"
            for part in self.episodes[index].parts
        )

    def files(self, index: int) -> list[str]:
        """The files that hold an episode."""
        return [self.recording.files[part.file].name for part in self.episodes[index].parts]

    def fingerprint(self) -> dict[str, Any]:
        """All that decides what `read` returns; what was repaired, and files that were left out."""
        recording = self.recording
        return {
            "format": "vla_parquet",
            "files": [
                {"name": file.name, "bytes": file.path.stat().st_size, "sha256": digest}
                for file, digest in zip(recording.files, recording.sha256, strict=True)
            ],
            "cameras": dict(recording.columns.cameras),
            "columns": list(recording.columns.light),
            "options": self.options.to_dict(),
            "rows": sum(map(len, self.episodes)),
            "findings": list(self.findings()),
        }

    def findings(self) -> Iterator[str]:
        """What was wrong and is tolerated, and what is left out, but for `episodes` that have a problem."""
        for index, episode in enumerate(self.episodes):
            for file, problem in episode.repairs:
                text = problem.error(self.recording.files[file].name).what
                yield f"repaired in episode {index}: {text}"
        for number, error in sorted(self.recording.bad_files.items()):
            yield f"left out {self.recording.files[number].name}: {error.what}"
        for episode in self.dropped:
            assert episode.problem is not None
            file, problem = episode.problem
            yield f"left out an episode: {problem.error(self.recording.files[file].name).what}"
        for camera, presence in self.recording.presence.items():
            if not presence.anywhere:
                yield f"left out camera '{camera}': it has no picture in any row"
        if self.options.missing_aux == "black":
            yield from self._blackened()

    def _blackened(self) -> Iterator[str]:
        for camera, presence in self.recording.presence.items():
            rows = sum(map(len, presence.missing.values()))
            if rows and presence.anywhere:
                yield f"camera '{camera}' is black in {rows} rows, where it has no picture"

    def _light(self, episode: Recorded) -> tuple[dict[str, np.ndarray], list[str]]:
        """Everything but the pictures."""
        chosen, widths = self.recording.columns, self.recording.widths
        batches: list[pa.RecordBatch] = []
        for part in episode.parts:
            file = self.recording.files[part.file]
            rows = cursor(file.path, chosen.light, file.name)
            batches.extend(rows.rows(part.start, part.stop))
        state, action = (
            np.concatenate([read_vectors(batch[column], width) for batch in batches])
            for column, width in ((chosen.state, widths.state or 0), (chosen.action, widths.action or 0))
        )
        if self.options.per_action_dim is not None:
            action = chunks.first_steps(action, self.options.per_action_dim)
        columns = {STATE: state, ACTION: action}
        flags = {
            flag: np.concatenate([read_flag(batch[flag], flag)[0] for batch in batches])[:, None] == 1
            for flag in chosen.flags
        }
        last_T1 = np.arange(len(episode))[:, None] == len(episode) - 1
        columns[DONE] = flags.get(IS_LAST, last_T1)
        if IS_TERMINAL in flags:
            columns[TERMINAL] = flags[IS_TERMINAL]
        texts = [
            text for batch in batches for text in read_prompts(batch, chosen, self.options.default_prompt)
        ]
        return columns, [text or "" for text in texts]

    def _pictures(self, camera: str, episode: Recorded) -> RowPictures:
        missing = None
        if camera != "image_1" and self.options.missing_aux == "black" and self.features:
            height, width, _ = self.features[_CAMERA + camera]["shape"]
            missing = black((height, width))
        column = self.recording.columns.cameras[camera]
        return RowPictures(self.recording.files, episode.parts, column, self.options.resize, missing)

    def _cameras(self) -> list[str]:
        """The first camera, and the others that have any picture."""
        presence = self.recording.presence
        return [
            camera
            for camera in self.recording.columns.cameras
            if camera not in presence or presence[camera].anywhere
        ]

    def _features(self) -> dict[str, dict[str, Any]]:
        features: dict[str, dict[str, Any]] = {}
        for camera in self._cameras():
            shape = (*(self.options.resize or self._picture_size(camera)), 3)
            names = ["height", "width", "channels"]
            features[_CAMERA + camera] = {"dtype": "image", "shape": shape, "names": names}
        widths = self.recording.widths
        action_width = self.options.per_action_dim or widths.action
        for key, width, chosen in (
            (STATE, widths.state, self.options.state_names),
            (ACTION, action_width, self.options.action_names),
        ):
            numbered = [f"{key.rpartition('.')[2]}_{number}" for number in range(width or 0)]
            features[key] = {"dtype": "float32", "shape": (width,), "names": list(chosen or numbered)}
        features[DONE] = {"dtype": "bool", "shape": (1,), "names": None}
        if IS_TERMINAL in self.recording.columns.flags:
            features[TERMINAL] = {"dtype": "bool", "shape": (1,), "names": None}
        return features

    def _picture_size(self, camera: str) -> tuple[int, int]:
        """Height and width of a camera's pictures, by the first one that can be read."""
        column, first_error = self.recording.columns.cameras[camera], None
        for episode in self.episodes:
            for part in episode.parts if episode.problem is None else ():
                file = self.recording.files[part.file]
                for row in range(part.start, part.stop):
                    try:
                        encoded = read_picture(file, column, row)
                        if encoded is not None:
                            return images.size(plain(encoded))
                    except ZooError as error:
                        # Its turn to stop the work, or to be skipped, comes when the episodes are read.
                        first_error = first_error or error
        raise first_error or ZooError(
            f"no picture tells the size of camera '{camera}' [bad-picture]",
            got=f"column '{column}' of {len(self.episodes)} episodes",
            expected="a picture",
        )

    def _refuse_chunks(self) -> None:
        """Refuse rows that hold chunks of actions, judged by the first episode that can tell."""
        if self.options.per_action_dim is not None:
            chunks.require_whole_steps(self.recording.widths.action or 0, self.options.per_action_dim)
            return
        for episode in self.episodes:
            if episode.problem is None:
                action_TW = self._light(episode)[0][ACTION]
                if (step := chunks.guess_step_width(action_TW)) is not None:
                    horizon = action_TW.shape[1] // step
                    raise ZooError(
                        "each row holds a chunk of actions [chunked-actions]",
                        got=f"{horizon * step} numbers: {horizon} steps of {step}, each the next row's first",
                        expected="one step a row",
                        do=f"pass --per-action-dim {step} to take the first step of each chunk",
                    )
                return

    def _error(self, episode: Recorded, more: str = "") -> ZooError:
        assert episode.problem is not None
        file, problem = episode.problem
        error = problem.error(self.recording.files[file].name)
        number = self.episodes.index(episode)
        return ZooError(
            f"{error.what}, episode {number}{more}", got=error.got, expected=error.expected, do=error.do
        )


def _lacks_pictures(episode: Recorded) -> bool:
    return episode.problem is not None and episode.problem[1].name == "missing-aux"


def _judged(episode: Recorded, recording: Recording, options: Options) -> Recorded:
    """The episode, with a problem if a camera lacks pictures and that is not allowed."""
    if options.missing_aux == "black" or episode.problem is not None:
        return episode
    for camera, presence in recording.presence.items():
        place = presence.first_missing(episode.parts) if presence.anywhere else None
        if place is not None:
            problem = Problem(
                "missing-aux",
                f"camera '{camera}' has pictures in some rows only",
                place[1],
                recording.columns.cameras[camera],
                got="null",
                expected="a picture in every row, or in none",
                do="choose with --missing-aux: black pictures, or drop such episodes",
            )
            return Recorded(episode.parts, (place[0], problem), episode.repairs)
    return episode
