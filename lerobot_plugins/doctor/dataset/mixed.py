"""Episodes that a mixture repeats on purpose, as `meta/provenance.json` of `lerobot-plugins merge` tells."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Origin = tuple[str, int, int, int]


def mixed_repeats(root: Path) -> dict[int, int]:
    """Episodes that are there again -> the first of them; empty where nothing was mixed."""
    path = root / "meta" / "provenance.json"
    if not path.is_file():
        return {}
    try:
        provenance = json.loads(path.read_text(encoding="utf-8"))
        origins = [_origin(provenance, episode) for episode in range(len(provenance["mixture"]["episodes"]))]
    except (ValueError, LookupError, TypeError):
        return {}  # not written by a mixture: then every copy is told of
    first: dict[Origin, int] = {}
    return {
        episode: first[origin]
        for episode, origin in enumerate(origins)
        if first.setdefault(origin, episode) != episode
    }


def _origin(provenance: Mapping[str, Any], episode: int) -> Origin:
    """Dataset, episode there, first frame and frames, through mixtures of mixtures."""
    part, number, start, length = provenance["mixture"]["episodes"][episode]
    described = provenance["source"]["parts"][part]
    if "mixture" not in (described["provenance"] or {}):
        return described["meta_sha256"], number, start, length
    name, number, before, _ = _origin(described["provenance"], number)
    return name, number, before + start, length
