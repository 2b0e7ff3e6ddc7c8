"""What a conversion set aside: `meta/quarantine.json`, for people and programs that repair a source."""

from collections.abc import Mapping
from typing import Any

from lerobot_plugins.conversion.source import EpisodeSource
from lerobot_plugins.errors import ZooError

QUARANTINE_PATH = "meta/quarantine.json"
SCHEMA_VERSION = 1


def left_out(source: EpisodeSource, skipped: Mapping[int, ZooError]) -> list[dict[str, Any]]:
    """The episodes that are missing, each with its files, its place in them and the reason, as plain JSON."""
    return [
        {
            "episode": index,
            "files": source.files(index),
            "location": source.locate(index),
            "reason": error.what,
            "got": None if error.got is None else str(error.got),
            "expected": None if error.expected is None else str(error.expected),
            "do": error.do,
        }
        for index, error in sorted(skipped.items())
    ]


def quarantine(source: EpisodeSource, skipped: Mapping[int, ZooError]) -> dict[str, Any]:
    """The content of the file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "converted": len(source) - len(skipped),
        "set_aside": left_out(source, skipped),
    }
