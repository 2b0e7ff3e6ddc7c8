"""Exact statistics of episodes that were not converted yet; pictures are not decoded.

T frames, D the shape of one frame's value.
"""

from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from lerobot_plugins.conversion.episode import check
from lerobot_plugins.conversion.locating import SKIP_ADVICE, advised, located
from lerobot_plugins.conversion.source import EpisodeSource
from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.described import Described
from lerobot_plugins.statistics.exact import QUANTILES, exact_statistics
from lerobot_plugins.statistics.recorded import names_of


def source_statistics(
    source: EpisodeSource,
    origin: str,
    quantiles: Mapping[str, float] = QUANTILES,
    *,
    on_error: str = "stop",
    progress: bool = True,
) -> tuple[Described, dict[int, ZooError]]:
    """Statistics of all numbers of a bridge's episodes, as a conversion would write them.

    Args:
        source: The episodes.
        origin: What to call them in messages.
        quantiles: Name -> share of the frames.
        on_error: `stop` at a damaged episode, or `skip` it.
        progress: Show a bar.

    Returns:
        The statistics, and which episodes were skipped and why.

    Raises:
        ZooError: An episode is damaged and `on_error` is `stop`, or every episode is.
    """
    columns: dict[str, list[np.ndarray]] = {}
    skipped: dict[int, ZooError] = {}
    frames = 0
    for index in tqdm(range(len(source)), desc="reading", unit="episode", leave=False, disable=not progress):
        try:
            with located(f"episode {index} ({source.locate(index)})"):
                episode = source.read(index)
                check(episode, source.features)
        except ZooError as error:
            if on_error == "stop":
                raise advised(error, SKIP_ADVICE) from error
            skipped[index] = error
            continue
        frames += len(episode.tasks)
        for key, values_TD in episode.columns.items():
            # A copy: a bridge's columns may be views into a file of pictures.
            columns.setdefault(key, []).append(np.array(values_TD))
    if not frames:
        raise ZooError("every episode is damaged; the first:\n" + str(next(iter(skipped.values()), "none")))
    stats = {key: exact_statistics(np.concatenate(columns.pop(key)), quantiles) for key in list(columns)}
    episodes = len(source) - len(skipped)
    return Described(stats, origin, names_of(source.features), episodes, frames), skipped
