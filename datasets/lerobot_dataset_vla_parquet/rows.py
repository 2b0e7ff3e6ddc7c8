"""Everything of a file's rows but the pictures: read in batches, checked, and kept in a few bytes a row.

T rows; D numbers of a state or an action.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lerobot_dataset_vla_parquet.columns import Columns
from lerobot_dataset_vla_parquet.problems import Problem
from lerobot_plugins.conversion.parquet_rows import RowCursor

UNKNOWN = -1  # a flag that is neither true nor false, a prompt that says nothing


@dataclass
class Widths:
    """How many numbers states and actions have; None until a row has told."""

    state: int | None = None
    action: int | None = None


@dataclass
class FileRows:
    """What the rows of one file say.

    Args:
        flags: Each flag of the T rows: 0, 1 or UNKNOWN.
        prompts: The different prompts.
        prompt_T: For each row the number of its prompt, or UNKNOWN.
        problems: The first thing wrong at each row that has something wrong.
    """

    flags: dict[str, np.ndarray]
    prompts: list[str]
    prompt_T: np.ndarray
    problems: dict[int, Problem] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prompt_T)


def read_rows(cursor: RowCursor, columns: Columns, widths: Widths, default_prompt: str | None) -> FileRows:
    """Read and check all rows of a file; `widths` that are not known yet are learnt from the first row.

    Raises:
        ZooError: The file is damaged.
    """
    flags: dict[str, list[np.ndarray]] = {flag: [] for flag in columns.flags}
    number: dict[str, int] = {}
    prompts: list[np.ndarray] = []
    problems: dict[int, Problem] = {}
    start = 0
    for batch in cursor.rows(0, len(cursor)):
        for flag in columns.flags:
            values_T, found = read_flag(batch[flag], flag, start)
            flags[flag].append(values_T)
            problems |= {row: problem for row, problem in found.items() if row not in problems}
        for what, column in (("state", columns.state), ("action", columns.action)):
            if getattr(widths, what) is None:
                setattr(widths, what, _first_width(batch[column]))
            found = check_vectors(batch[column], getattr(widths, what), column, start)
            problems |= {row: problem for row, problem in found.items() if row not in problems}
        texts = read_prompts(batch, columns, default_prompt)
        for row, text in enumerate(texts, start):
            if text is None and row not in problems:
                problems[row] = _no_prompt(row, columns.prompt)
        prompts.append(
            np.array([UNKNOWN if text is None else number.setdefault(text, len(number)) for text in texts])
        )
        start += len(batch)
    joined = {flag: np.concatenate([np.empty(0, np.int8), *parts]) for flag, parts in flags.items()}
    return FileRows(joined, list(number), np.concatenate([np.empty(0, np.int64), *prompts]), problems)


def read_flag(array: pa.Array, column: str, start: int = 0) -> tuple[np.ndarray, dict[int, Problem]]:
    """A flag of all rows, (T,) of 0, 1 and UNKNOWN, and what is wrong at which row.

    A missing flag is never taken for true or false: NaN would be true in Python.
    """
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    values_T = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    flags_T = np.full(len(values_T), UNKNOWN, np.int8)
    for value in (0, 1):
        flags_T[values_T == value] = value
    problems = {
        start + row: Problem(
            "bad-flag",
            "a flag is neither true nor false",
            start + row,
            column,
            got="null" if np.isnan(values_T[row]) else f"{values_T[row]:g}",
            expected="true or false, 1 or 0",
        )
        for row in np.flatnonzero(flags_T == UNKNOWN).tolist()
    }
    return flags_T, problems


def check_vectors(array: pa.Array, width: int | None, column: str, start: int = 0) -> dict[int, Problem]:
    """What is wrong with vectors at which row: missing, of another width, or not finite as float32."""
    lengths_T = _lengths(array)
    problems: dict[int, Problem] = {}
    wrong_T = lengths_T != width if width else np.ones(len(lengths_T), bool)
    for row in np.flatnonzero(wrong_T).tolist():
        got = "null" if lengths_T[row] == UNKNOWN else f"{lengths_T[row]} numbers"
        problems[start + row] = Problem(
            "bad-numbers",
            "a vector is missing or of another width",
            start + row,
            column,
            got=got,
            expected=f"{width} numbers" if width else "numbers",
        )
    values = _flat(array)
    rows = np.repeat(np.arange(len(array)), np.maximum(lengths_T, 0))
    ends_T = np.cumsum(np.maximum(lengths_T, 0))
    for place in np.flatnonzero(~np.isfinite(values)).tolist():
        row = int(rows[place])
        problems.setdefault(
            start + row,
            Problem(
                "bad-numbers",
                f"number {place - int(ends_T[row]) + int(lengths_T[row])} is not finite as float32",
                start + row,
                column,
                got=float(values[place]),
                expected="finite numbers",
            ),
        )
    return problems


def read_vectors(array: pa.Array, width: int) -> np.ndarray:
    """Vectors that were checked, (T, D) float32."""
    return _flat(array).reshape(-1, width)


def read_prompts(batch: pa.RecordBatch, columns: Columns, default: str | None) -> list[str | None]:
    """The instruction of each row, without white space around it; None where it is missing or empty."""
    if columns.prompt is None:
        return [default] * len(batch)
    return [(text or "").strip() or default for text in batch[columns.prompt].to_pylist()]


def _first_width(array: pa.Array) -> int | None:
    known = _lengths(array)
    known = known[known > 0]
    return int(known[0]) if len(known) else None


def _lengths(array: pa.Array) -> np.ndarray:
    """The number of entries of each list, (T,); UNKNOWN for null."""
    if pa.types.is_null(array.type):
        return np.full(len(array), UNKNOWN)
    return pc.list_value_length(array).fill_null(UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int64)


def _flat(array: pa.Array) -> np.ndarray:
    """All numbers of all lists as float32; null among them is NaN."""
    if pa.types.is_null(array.type):
        return np.empty(0, np.float32)
    with np.errstate(over="ignore"):
        return array.flatten().to_numpy(zero_copy_only=False).astype(np.float32)


def _no_prompt(row: int, column: str | None) -> Problem:
    return Problem(
        "no-prompt",
        "nothing says what is to be done",
        row,
        column or "prompt",
        expected="an instruction",
        do="give one for such rows with --default-prompt",
    )
