"""Instructions: every frame has one, and it says something.

T frames.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lerobot_plugins.doctor.dataset.findings import DatasetFinding, Place, ok, problem, warning
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

_FEATURE = "task_index"


class Tasks:
    """`task_index` of every frame against meta/tasks.parquet and meta/episodes.

    Args:
        tasks: task_index -> instruction; None if the file is missing.
        rows: Of meta/episodes.
        total: How many tasks info.json states.
    """

    name = "tasks"

    def __init__(
        self, tasks: Mapping[int, str] | None, rows: Sequence[Mapping[str, Any]], total: int | None
    ) -> None:
        self._tasks = tasks
        self._of_episode = {int(row["episode_index"]): list(row.get("tasks") or []) for row in rows}
        self._total = total
        self._used: set[int] = set()
        self._unknown: dict[int, Place] = {}
        self._empty: dict[int, Place] = {}
        self._differing: list[tuple[int, list[str], list[str]]] = []

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        if self._tasks is None:
            return
        index_T = episode.columns[_FEATURE][:, 0].astype(np.int64)
        used, first = np.unique(index_T, return_index=True)
        for task, frame in zip(used.tolist(), first.tolist(), strict=True):
            self._used.add(task)
            if task not in self._tasks:
                self._unknown.setdefault(task, Place(episode.index, frame))
            elif not self._tasks[task].strip():
                self._empty.setdefault(task, Place(episode.index, frame))
        stated = self._of_episode.get(episode.index, [])
        told = [self._tasks[task] for task in used.tolist() if task in self._tasks]
        strange = set(used.tolist()) & {*self._unknown, *self._empty}
        if stated and set(stated) != set(told) and not strange:
            self._differing.append((episode.index, stated, told))

    def findings(self) -> list[DatasetFinding]:
        """One for each instruction that is missing, empty, or another one than stated."""
        if self._tasks is None:
            return [
                problem(self.name, "meta/tasks.parquet is missing or cannot be read", "download it again")
            ]
        findings = [
            problem(
                self.name,
                f"{place} has task {task}, which meta/tasks.parquet does not have",
                "add its instruction to meta/tasks.parquet",
                feature=_FEATURE,
                episode=place.episode,
                frame=place.frame,
                value=task,
                limit=", ".join(str(known) for known in sorted(self._tasks)[:8]),
            )
            for task, place in self._unknown.items()
        ]
        findings += [
            problem(
                self.name,
                f"task {task}, first of {place}, is an empty instruction",
                "write into meta/tasks.parquet what is to be done: policies that read language need it",
                feature=_FEATURE,
                episode=place.episode,
                frame=place.frame,
                value=self._tasks[task],
                limit="an instruction",
            )
            for task, place in self._empty.items()
        ]
        if self._differing:
            episode, stated, told = self._differing[0]
            findings.append(
                problem(
                    self.name,
                    f"the frames of episode {episode} say {told}, meta/episodes says {stated} "
                    f"(such episodes: {len(self._differing)})",
                    "convert the dataset again",
                    feature=_FEATURE,
                    episode=episode,
                    value="; ".join(told),
                    limit="; ".join(stated),
                )
            )
        if self._total is not None and self._total != len(self._tasks):
            text = f"info.json counts {self._total} tasks, meta/tasks.parquet holds {len(self._tasks)}"
            findings.append(
                problem("counts", text, "correct total_tasks", value=self._total, limit=len(self._tasks))
            )
        if unused := sorted(set(self._tasks) - self._used):
            text = f"{len(unused)} instructions have no frames: {[self._tasks[task] for task in unused[:3]]}"
            findings.append(warning(self.name, text, "nothing if their episodes were left out"))
        return findings or [ok(self.name, f"{len(self._used)} instructions, none empty")]
