"""What a dataset calls the dimensions of a feature."""

from typing import Any


def flat_names(names: Any) -> list[str]:
    """`names` of a feature in meta/info.json as one list; empty where there are none.

    Datasets in the wild group names: {"motors": ["shoulder", ...]} or [["shoulder", ...]].
    """
    if isinstance(names, dict):
        names = list(names.values())
    if isinstance(names, list):
        return [name for group in names for name in flat_names(group)]
    return [] if names is None else [str(names)]
