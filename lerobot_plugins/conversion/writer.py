"""Write a LeRobotDataset v3: stage episodes in parallel, then assemble them.

The unit of work is an episode. A finished one is never done again, whatever interrupts the conversion
(Ctrl-C, kill -9, a full disk): the same command continues. The assembled dataset follows from the order of
the episodes alone, so any number of workers and of interruptions gives the same bytes, and it appears under
its name by one rename.
"""

import errno
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from lerobot_plugins.conversion.episode import ImageStorage
from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.locating import SKIP_ADVICE, advised
from lerobot_plugins.conversion.provenance import PROVENANCE_PATH, conversion_settings, with_skipped
from lerobot_plugins.conversion.quarantine import QUARANTINE_PATH, quarantine
from lerobot_plugins.conversion.source import EpisodeSource, notes_of
from lerobot_plugins.conversion.staging import Staging, require_new
from lerobot_plugins.conversion.workers import stage_episodes
from lerobot_plugins.errors import ZooError

OnError = Literal["stop", "skip", "quarantine"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conversion:
    """What a conversion made.

    Args:
        root: The dataset.
        episodes: Number of episodes in it.
        frames: Number of frames in it.
        skipped: Episodes of the source that are missing, and why.
    """

    root: Path
    episodes: int
    frames: int
    skipped: Mapping[int, ZooError]


def write_dataset(
    source: EpisodeSource,
    root: Path,
    *,
    images: ImageStorage = "video",
    workers: int = 1,
    on_error: OnError = "stop",
    limits: FileLimits | None = None,
) -> Conversion:
    """Convert a source to a LeRobotDataset v3 at `root`, or continue an interrupted conversion.

    Args:
        source: The episodes.
        root: The folder to create; episodes are staged in `<root>.partial`.
        images: `video` encodes AV1 with LeRobot's settings; `jpeg` keeps the source's JPEG or PNG bytes.
        workers: Worker processes.
        on_error: What to do with a damaged episode: `stop` at it, `skip` and list it, or `quarantine`: skip
            it and write to `meta/quarantine.json` which episode of which file is missing and why.
        limits: Sizes of files; LeRobot's own by default.

    Returns:
        What was made.

    Raises:
        ZooError: `root` exists, an episode is damaged, the disk is full, or `<root>.partial` belongs to
            another conversion.
        KeyboardInterrupt: Interrupted; the message says how to continue.
    """
    limits = limits or FileLimits()
    staging = Staging.of(root)
    settings = conversion_settings(source, images, limits)
    if not len(source):
        raise ZooError("the source has no episodes", got=0, expected="at least one")
    _tidy_up(root, staging, settings)
    require_new(root)
    with continuable(staging, len(source)), staging.opened(settings):
        skipped = _stage(source, staging, images, workers, on_error)
        kept = [index for index in range(len(source)) if index not in skipped]
        if not kept:
            raise ZooError("every episode is damaged; the first:\n" + str(skipped[0]))
        frames = _assemble(source, staging, kept, images, limits, with_skipped(settings, source, skipped))
        if on_error == "quarantine":
            text = json.dumps(quarantine(source, skipped), indent=4, ensure_ascii=False) + "\n"
            (staging.dataset / QUARANTINE_PATH).write_text(text, encoding="utf-8")
        staging.dataset.rename(root)
        staging.remove()
    return Conversion(root, len(kept), frames, skipped)


def _tidy_up(root: Path, staging: Staging, settings: Mapping[str, Any]) -> None:
    """Remove the staged episodes of this conversion if it was killed between its last two steps."""
    provenance = root / PROVENANCE_PATH
    if staging.folder.exists() and provenance.exists():
        made = json.loads(provenance.read_text(encoding="utf-8"))
        if all(made.get(key) == value for key, value in settings.items()):
            staging.remove()


def _stage(
    source: EpisodeSource, staging: Staging, images: ImageStorage, workers: int, on_error: OnError
) -> dict[int, ZooError]:
    """Stage what is not yet staged; returns the skipped episodes."""
    pending = [index for index in range(len(source)) if not staging.is_finished(index)]
    skipped: dict[int, ZooError] = {}
    frames, started = 0, time.monotonic()
    outcomes = stage_episodes(source, pending, staging, images, min(workers, max(len(pending), 1)))
    with (
        closing(outcomes),
        tqdm(total=len(source), initial=len(source) - len(pending), desc="converting", unit="episode") as bar,
    ):
        for index, outcome in outcomes:
            if isinstance(outcome, ZooError):
                skipped[index] = outcome
                if on_error == "stop":
                    break
            else:
                frames += outcome
            bar.set_postfix_str(f"{frames / (time.monotonic() - started):.0f} frames/s", refresh=False)
            bar.update()
    if skipped and on_error == "stop":
        # Only now have running workers finished their episodes.
        raise _stopped(next(iter(skipped.values())), staging, len(source))
    return skipped


def _stopped(error: ZooError, staging: Staging, total: int) -> ZooError:
    """The error that stops the work, with how far it came and how to go on."""
    if staging.is_empty():
        return advised(error, SKIP_ADVICE)
    continuing = "repair the source or add --on-error skip, and run the same command again"
    return advised(error, f"{staging.progress(total)}: {continuing}")


def _assemble(
    source: EpisodeSource,
    staging: Staging,
    kept: list[int],
    images: ImageStorage,
    limits: FileLimits,
    provenance: Mapping[str, Any],
) -> int:
    # LeRobot takes seconds to import; neither the workers nor a refused command need it.
    from lerobot_plugins.conversion.assembly import Assembly

    folders = [staging.episode(index) for index in kept]
    assembly = Assembly(source, folders, images, limits, staging.dataset)
    with tqdm(total=len(folders), desc="assembling", unit="episode") as bar:
        assembly.write(provenance, bar.update)
    for name, note in notes_of(source, kept).items():
        text = json.dumps(note, ensure_ascii=False) + "\n"
        (staging.dataset / "meta" / name).write_text(text, encoding="utf-8")
    untold = sum(not all(task.strip() for task in row["tasks"]) for row in assembly.rows)
    if untold:
        logger.warning("%d of %d episodes have frames whose task is an empty text", untold, len(folders))
    return sum(assembly.lengths)


@contextmanager
def continuable(staging: Staging, total: int) -> Iterator[None]:
    """Turn Ctrl-C, a full disk and other trouble with files into how far the work is and how to go on."""
    try:
        yield
    except (OSError, KeyboardInterrupt) as error:
        shutil.rmtree(staging.dataset, ignore_errors=True)
        progress = staging.progress(total)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted: {progress}; the same command continues") from error
        if error.errno == errno.ENOSPC:
            raise ZooError(
                f"the disk is full: {progress}", do="free some space; the same command continues"
            ) from error
        raise ZooError(
            f"a file cannot be read or written: {progress}",
            got=error,
            expected="files that can be read and written",
            do="mend that, or choose another --root; the same command continues",
        ) from error
