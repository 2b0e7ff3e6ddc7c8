"""`meta/picture_histograms.json`: how often each intensity occurs, so that datasets can be joined exactly.

Statistics cannot be joined: quantiles of two halves do not tell that of the whole. Counts can.

C channels; V intensities, or codes of depth.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

HISTOGRAMS_PATH = "meta/picture_histograms.json"


def write_histograms(histograms: Mapping[str, np.ndarray], root: Path) -> None:
    """Write the counts (C, V) of each camera's sampled pictures."""
    text = json.dumps({camera: counts_CV.tolist() for camera, counts_CV in histograms.items()})
    (root / HISTOGRAMS_PATH).write_text(text + "\n", encoding="utf-8")


def read_histograms(root: Path) -> dict[str, np.ndarray] | None:
    """The counts (C, V) of each camera; None if the dataset has none, as those of other writers."""
    path = root / HISTOGRAMS_PATH
    if not path.exists():
        return None
    return {
        camera: np.array(counts, dtype=np.int64)
        for camera, counts in json.loads(path.read_text(encoding="utf-8")).items()
    }
