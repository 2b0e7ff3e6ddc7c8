"""The first pass over a recording: which columns, which episodes, what is wrong. No picture is read.

Memory holds the flags and prompts of one file at a time, and the table of episodes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from lerobot_dataset_vla_parquet.columns import Columns, choose_columns, require_columns
from lerobot_dataset_vla_parquet.episodes import Recorded, split_episodes
from lerobot_dataset_vla_parquet.inputs import InputFile
from lerobot_dataset_vla_parquet.options import Options
from lerobot_dataset_vla_parquet.presence import Presence
from lerobot_dataset_vla_parquet.rows import FileRows, Widths, read_rows
from lerobot_plugins.conversion.parquet_rows import RowCursor
from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class Recording:
    """What the first pass found.

    Args:
        files: The files.
        sha256: Of each file; None of one that was left out.
        columns: The columns.
        widths: How many numbers states and actions have.
        episodes: The episodes, and rows that are none, in order.
        presence: For each camera but the first, the rows that have a picture.
        bad_files: Files that were left out, and why.
    """

    files: tuple[InputFile, ...]
    sha256: tuple[str | None, ...]
    columns: Columns
    widths: Widths
    episodes: tuple[Recorded, ...]
    presence: Mapping[str, Presence] = field(default_factory=dict)
    bad_files: Mapping[int, ZooError] = field(default_factory=dict)


def survey(files: Sequence[InputFile], options: Options) -> Recording:
    """Read all files.

    Raises:
        ZooError: A column is missing or ambiguous, a file cannot be read and is not to be skipped, or no row
            begins an episode.
    """
    return _Survey(tuple(files), options).run()


class _Survey:
    def __init__(self, files: tuple[InputFile, ...], options: Options) -> None:
        self.files = files
        self.options = options
        self.columns: Columns | None = None
        self.first_schema: pa.Schema | None = None
        self.widths = Widths(
            None if options.state_names is None else len(options.state_names), self._action_width()
        )
        self.sha256: list[str | None] = []
        self.bad_files: dict[int, ZooError] = {}
        self.masks: dict[str, dict[int, np.ndarray]] = {}

    def run(self) -> Recording:
        episodes = split_episodes(self._rows(), self.options.rules)
        assert self.columns is not None, "a row was read"
        presence = {
            camera: Presence.of(self.masks.get(camera, {}))
            for camera in self.columns.cameras
            if camera != "image_1"
        }
        return Recording(
            self.files,
            tuple(self.sha256),
            self.columns,
            self.widths,
            tuple(episodes),
            presence,
            self.bad_files,
        )

    def _rows(self) -> Iterator[tuple[int, FileRows | None]]:
        for number, file in enumerate(tqdm(self.files, desc="reading rows", unit="file")):
            try:
                rows = self._read(number, file)
            except _UnreadableError as error:
                if not self.options.skip_bad_files:
                    raise error.cause from error
                self.bad_files[number] = error.cause
                self.sha256.append(None)
                yield number, None
            else:
                yield number, rows
        if len(self.bad_files) == len(self.files):
            raise ZooError("no file can be read; the first:\n" + str(self.bad_files[0]))

    def _read(self, number: int, file: InputFile) -> FileRows:
        try:
            schema = pq.read_schema(file.path)
        except (pa.ArrowException, OSError) as error:
            raise _UnreadableError(_unreadable(file, error)) from error
        if self.columns is None or self.first_schema is None:
            self.columns = choose_columns(
                schema,
                file.name,
                self.options.columns,
                self.options.cameras,
                prompt_needed=self.options.default_prompt is None,
            )
            self.first_schema = schema
        else:
            require_columns(self.columns, self.first_schema, schema, file.name)
        try:
            cursor = RowCursor(file.path, self.columns.light, file.name)
            rows = read_rows(cursor, self.columns, self.widths, self.options.default_prompt)
            for camera, column in self.columns.cameras.items():
                if camera != "image_1":
                    self.masks.setdefault(camera, {})[number] = Presence.read(file, column, len(rows))
        except ZooError as error:
            raise _UnreadableError(error) from error
        self.sha256.append(file.sha256())
        return rows

    def _action_width(self) -> int | None:
        names, step = self.options.action_names, self.options.per_action_dim
        if names is not None and step is not None and len(names) != step:
            raise ZooError(
                "--action-names and --per-action-dim disagree", got=f"{len(names)} names", expected=step
            )
        return None if names is None or step is not None else len(names)


class _UnreadableError(Exception):
    """A file cannot be read: what `--skip-bad-files` is for, unlike a column that is missing."""

    def __init__(self, cause: ZooError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _unreadable(file: InputFile, error: Exception) -> ZooError:
    return ZooError(
        f"{file.name} cannot be read [unreadable-file]",
        got=" ".join(str(error).split()),
        expected="a whole Parquet file",
        do="fetch or write it again, or leave such files out with --skip-bad-files",
    )
