"""From rows to episodes: a machine with one state, the episode that is open.

An episode begins at a row with `is_first` and ends with a row with `is_last`, or where there is no such
column, before the next beginning. Rows that belong to no episode form an entry of their own that has a
problem; so whatever is left out later is counted, located and reported like a damaged episode.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lerobot_dataset_vla_parquet.columns import IS_FIRST, IS_LAST, IS_TERMINAL
from lerobot_dataset_vla_parquet.problems import Problem
from lerobot_dataset_vla_parquet.rows import UNKNOWN, FileRows
from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class Part:
    """Consecutive rows of one file, by the file's number."""

    file: int
    start: int
    stop: int


@dataclass(frozen=True)
class Recorded:
    """One episode, or rows that are none.

    Args:
        parts: Its rows; an episode may go on in the next file.
        problem: Why it cannot be used, and in which file.
        repairs: What was wrong and is tolerated, and in which file.
    """

    parts: tuple[Part, ...]
    problem: tuple[int, Problem] | None = None
    repairs: tuple[tuple[int, Problem], ...] = ()

    def __len__(self) -> int:
        return sum(part.stop - part.start for part in self.parts)


@dataclass(frozen=True)
class Rules:
    """How rows are judged.

    Args:
        lenient: Tolerate what leaves the episode usable: no end, an early `is_terminal`, a changing prompt.
        split_at_file_boundary: Every file begins an episode and ends one, whatever its flags say there.
        allow_prompt_change: An episode's prompt may change.
        min_length: Shorter episodes are a problem.
    """

    lenient: bool = False
    split_at_file_boundary: bool = False
    allow_prompt_change: bool = False
    min_length: int = 2


def split_episodes(files: Iterable[tuple[int, FileRows | None]], rules: Rules) -> list[Recorded]:
    """The episodes of files, which are given with their numbers; None stands for a file that is left out.

    Raises:
        ZooError: No row begins an episode.
    """
    splitter = _Splitter(rules)
    for number, rows in files:
        if rows is None:
            splitter.skip_file()
        else:
            splitter.add_file(number, rows)
    splitter.close(closed=rules.split_at_file_boundary or not splitter.has_ends)
    if not splitter.begun:
        raise ZooError(
            "no row begins an episode [no-first]",
            got=f"{sum(map(len, splitter.table))} rows, is_first true in none of them",
            expected="is_first true at the first row of every episode",
            do="if every file is one episode, pass --split-at-file-boundary",
        )
    return splitter.table


@dataclass
class _Open:
    """The episode that is being read."""

    file: int
    row: int
    prompt: str | None
    parts: list[Part] = field(default_factory=list)
    problem: tuple[int, Problem] | None = None
    repairs: list[tuple[int, Problem]] = field(default_factory=list)
    prompt_changed: bool = False
    is_orphan: bool = False

    def take(self, file: int, row: int) -> None:
        """Add a row."""
        last = self.parts[-1] if self.parts else None
        if last is not None and (last.file, last.stop) == (file, row):
            self.parts[-1] = Part(file, last.start, row + 1)
        else:
            self.parts.append(Part(file, row, row + 1))

    def blame(self, file: int, problem: Problem) -> None:
        """Note what is wrong; the first problem counts."""
        if self.problem is None:
            self.problem = (file, problem)


class _Splitter:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.table: list[Recorded] = []
        self.begun = False
        self.has_ends = True
        self._open: _Open | None = None
        self._ended_before = False

    def add_file(self, file: int, rows: FileRows) -> None:
        """Read all rows of a file."""
        if self.rules.split_at_file_boundary:
            self.close(closed=True)
        self.has_ends = IS_LAST in rows.flags
        never = [0] * len(rows)
        first, last, terminal = (
            rows.flags[flag].tolist() if flag in rows.flags else never
            for flag in (IS_FIRST, IS_LAST, IS_TERMINAL)
        )
        prompts = [None if number == UNKNOWN else rows.prompts[number] for number in rows.prompt_T.tolist()]
        for row in range(len(rows)):
            begins = first[row] == 1 or (row == 0 and self.rules.split_at_file_boundary)
            if begins:
                self.close(closed=not self.has_ends)
                self._open = _Open(file, row, prompts[row])
                self.begun = True
            elif self._open is None:
                self._open = self._orphan(file, row, rows.problems.get(row))
            self._take(file, row, prompts[row], rows.problems.get(row))
            if terminal[row] == 1 and last[row] == 0 and self.has_ends:
                self._tolerate(file, _terminal(row), self.rules.lenient)
            if last[row] == 1:
                self.close(closed=True)

    def close(self, *, closed: bool) -> None:
        """End the open episode, if there is one; `closed` if something said that it ends here."""
        ended, self._open = self._open, None
        if ended is None:
            return
        self._ended_before = True
        length = sum(part.stop - part.start for part in ended.parts)
        if not closed and not ended.is_orphan:
            end = ended.parts[-1]
            problem = _unterminated(end.stop - 1)
            if self.rules.lenient:
                ended.repairs.append((end.file, problem))
            else:
                ended.blame(end.file, problem)
        if length < self.rules.min_length:
            ended.blame(ended.file, _too_short(ended.row, length, self.rules.min_length))
        self.table.append(Recorded(tuple(ended.parts), ended.problem, tuple(ended.repairs)))

    def skip_file(self) -> None:
        """A file that is left out breaks the episode that is open."""
        if self._open is not None and not self.rules.split_at_file_boundary:
            end = self._open.parts[-1]
            self._open.blame(end.file, _broken(end.stop - 1))
        self.close(closed=True)
        self._ended_before = False

    def _orphan(self, file: int, row: int, problem: Problem | None) -> _Open:
        orphan = _Open(file, row, None, is_orphan=True)
        if problem is not None and problem.name == "bad-flag":
            orphan.blame(file, problem)
        orphan.blame(file, _after_last(row) if self._ended_before else _not_first(row))
        return orphan

    def _take(self, file: int, row: int, prompt: str | None, problem: Problem | None) -> None:
        assert self._open is not None
        self._open.take(file, row)
        if problem is not None:
            self._open.blame(file, problem)
        elif prompt != self._open.prompt and not self._open.is_orphan and not self._open.prompt_changed:
            self._open.prompt_changed = True
            if not self.rules.allow_prompt_change:
                changed = _prompt_changes(row, prompt, self._open.prompt)
                self._tolerate(file, changed, self.rules.lenient)

    def _tolerate(self, file: int, problem: Problem, tolerated: bool) -> None:
        assert self._open is not None
        if tolerated:
            self._open.repairs.append((file, problem))
        else:
            self._open.blame(file, problem)


def _not_first(row: int) -> Problem:
    return Problem(
        "not-first",
        "the recording does not begin with the first row of an episode",
        row,
        IS_FIRST,
        got="false",
        expected="true",
        do="put files in order and give all of them",
    )


def _after_last(row: int) -> Problem:
    return Problem(
        "after-last",
        "the row after an episode's last one begins no episode",
        row,
        IS_FIRST,
        got="false",
        expected="true",
    )


def _unterminated(row: int) -> Problem:
    return Problem(
        "unterminated",
        "an episode has no end: another one begins, or the recording stops",
        row,
        IS_LAST,
        got="false",
        expected="true at the last row of every episode",
        do="with --mode lenient such an episode ends here",
    )


def _broken(row: int) -> Problem:
    return Problem(
        "unterminated",
        "an episode may go on in a file that was left out",
        row,
        IS_LAST,
        got="false, and the next file cannot be read",
        expected="true at the last row of every episode",
        do="fetch the file again",
    )


def _terminal(row: int) -> Problem:
    return Problem(
        "terminal-not-last",
        "a row is terminal but not the last of its episode",
        row,
        IS_TERMINAL,
        got="is_terminal true, is_last false",
        expected="is_last true as well",
        do="with --mode lenient both flags are kept as they are",
    )


def _prompt_changes(row: int, got: str | None, expected: str | None) -> Problem:
    return Problem(
        "prompt-changes",
        "the prompt changes within an episode",
        row,
        "prompt",
        got=got,
        expected=expected,
        do="if that is meant, pass --allow-prompt-change: every frame keeps its own",
    )


def _too_short(row: int, length: int, minimum: int) -> Problem:
    return Problem(
        "too-short",
        "an episode is too short",
        row,
        IS_FIRST,
        got=f"{length} rows",
        expected=f"at least {minimum}",
        do="allow it with --min-length",
    )
