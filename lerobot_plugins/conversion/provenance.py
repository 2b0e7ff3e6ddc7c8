"""Where a dataset comes from and how it was made: `meta/provenance.json`.

It names everything that decides the bytes of a dataset and nothing else: no time, host, path or number of
workers. While a conversion runs, the same facts tell whether staged episodes belong to it.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from lerobot_plugins import __version__
from lerobot_plugins.conversion import video
from lerobot_plugins.conversion.episode import ImageStorage
from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.source import EpisodeSource, is_camera, is_depth, is_labels
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.images import SAMPLE_STRIDE

PROVENANCE_PATH = "meta/provenance.json"
SCHEMA_VERSION = 1
# Their releases may change the bytes that are written.
_LIBRARIES = ("lerobot", "av", "numpy", "pillow", "pyarrow", "simplejpeg")


def conversion_settings(source: EpisodeSource, storage: ImageStorage, limits: FileLimits) -> dict[str, Any]:
    """All that decides the bytes of a conversion whose episodes are all good, as plain JSON."""
    settings = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"lerobot_policy_zoo": __version__} | {name: version(name) for name in _LIBRARIES},
        "source": source.fingerprint(),
        "images": {"storage": storage} | (_encoders(source) if storage == "video" else {}),
        "files": {
            "data_mb": limits.data_mb,
            "video_mb": limits.video_mb,
            "files_per_chunk": limits.files_per_chunk,
        },
        "statistics": {
            "columns": "exact over all frames in float64; quantiles interpolate linearly",
            "images": f"exact histograms of the source's pixels in every {SAMPLE_STRIDE}th frame",
        },
    }
    # As it reads back from a file: tuples become lists.
    return json.loads(json.dumps(settings))


def _encoders(source: EpisodeSource) -> dict[str, Any]:
    """The settings of the encoders that the source's cameras need."""
    cameras = [feature for feature in source.features.values() if is_camera(feature)]
    kinds = {is_depth(feature) for feature in cameras if not is_labels(feature)}
    labels = {"label_encoder": {"codec": "png", "bits": 16}} if any(map(is_labels, cameras)) else {}
    named = {False: ("encoder", video.COLOUR), True: ("depth_encoder", video.DEPTH)}
    return {
        name: {"codec": encoding.codec, "pixel_format": encoding.pixel_format, **encoding.options}
        for kind, (name, encoding) in named.items()
        if kind in kinds
    } | labels


def with_skipped(
    settings: Mapping[str, Any], source: EpisodeSource, skipped: Mapping[int, ZooError]
) -> dict[str, Any]:
    """The provenance: the settings, and which episodes of the source are missing and why."""
    entries = [
        {"episode": index, "location": source.locate(index), "reason": error.what}
        for index, error in sorted(skipped.items())
    ]
    return {**settings, "skipped": entries}
