"""Annotation files: which phrase describes which frames of an episode.

The frames of a segment are rows of the episode's table, whatever `valid_duration` says, and its last one
belongs to it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot_dataset_behavior1k.phrases import primitive_phrase, skill_phrase
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.errors import ZooError, first_names

_ENTRIES: dict[str, tuple[str, Callable[[Mapping[str, Any], Mapping[str, str]], str]]] = {
    "skill": ("skill_annotation", skill_phrase),
    "primitive": ("primitive_annotation", primitive_phrase),
}


@dataclass(frozen=True, order=True)
class Segment:
    """Frames `start` to `end`, both included, and what is done in them."""

    start: int
    end: int
    phrase: str


@dataclass(frozen=True)
class Annotation:
    """The segments of one episode.

    Args:
        segments: By their first frame, neighbours of the same phrase merged.
        unnamed: How many entries name no skill; they are left out.
        backwards: How many durations end before they begin; they are left out.
    """

    segments: tuple[Segment, ...]
    unnamed: int
    backwards: int

    def phrases(self, length: int) -> list[str]:
        """The phrase of each of `length` frames, "" where no segment lies."""
        phrase_T = [""] * length
        # Where segments overlap, the earlier one counts.
        for segment in reversed(self.segments):
            for frame in range(max(segment.start, 0), min(segment.end + 1, length)):
                phrase_T[frame] = segment.phrase
        return phrase_T


def read_annotation(path: Path, level: str, names: Mapping[str, str]) -> Annotation:
    """Read the segments of an annotation file.

    Args:
        path: `annotations/task-XXXX/episode_XXXXXXXX.json`.
        level: `skill` or `primitive`.
        names: Names of objects.

    Raises:
        ZooError: The file is missing or malformed, or names an unknown skill.
    """
    with located(f"{path.parent.name}/{path.name}"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ZooError(
                "the annotation is missing",
                got="no file",
                expected=f"its entries '{_ENTRIES[level][0]}'",
                do="fetch it, or convert with --prompts task --subtasks none",
            ) from error
        except ValueError as error:
            raise ZooError("the annotation is no JSON", got=error, do="fetch it again") from error
        return parse_annotation(content, level, names)


def parse_annotation(content: Any, level: str, names: Mapping[str, str]) -> Annotation:
    """The segments of an annotation file's content."""
    key, phrase_of = _ENTRIES[level]
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        found = first_names(content) if isinstance(content, dict) else type(content).__name__
        raise ZooError(
            f"the annotation has no list '{key}'",
            got=found,
            expected=key,
            do="convert with --prompts task --subtasks none",
        )
    segments, unnamed, backwards = [], 0, 0
    for number, entry in enumerate(entries):
        with located(f"{key} {number}"):
            if not isinstance(entry, dict):
                raise ZooError("it is no object", got=type(entry).__name__)
            phrase = phrase_of(entry, names)
            if not phrase:
                unnamed += 1
                continue
            durations = _durations(entry.get("frame_duration"))
        forward = [(start, end) for start, end in durations if start <= end]
        backwards += len(durations) - len(forward)
        segments += [Segment(start, end, phrase) for start, end in forward]
    return Annotation(tuple(_merged(sorted(segments))), unnamed, backwards)


def _durations(value: Any) -> list[tuple[int, int]]:
    """One pair of frames or a list of pairs, as a list of pairs."""
    pairs = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(frame, int) for frame in pair)):
            raise ZooError(
                "'frame_duration' is malformed", got=value, expected="[first, last] or a list of such"
            )
    return [(pair[0], pair[1]) for pair in pairs]


def _merged(segments: list[Segment]) -> list[Segment]:
    merged: list[Segment] = []
    for segment in segments:
        before = merged[-1] if merged else None
        if before and segment.phrase == before.phrase and segment.start <= before.end + 1:
            merged[-1] = Segment(before.start, max(before.end, segment.end), before.phrase)
        else:
            merged.append(segment)
    return merged
