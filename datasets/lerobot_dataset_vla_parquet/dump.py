"""One step of a recording as plain files, which `lerobot-plugins infer --sample` reads."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from lerobot_dataset_vla_parquet.source import ACTION, STATE, VlaParquetSource
from lerobot_plugins.conversion import images
from lerobot_plugins.conversion.source import Frames
from lerobot_plugins.conversion.staging import require_new
from lerobot_plugins.errors import ZooError


def dump_step(source: VlaParquetSource, folder: Path) -> str:
    """Write the first step of the first episode that can be read.

    `<camera>.jpg` or `.png` as recorded, `state.txt`, `action.txt` (numbers and spaces), `prompt.txt`.

    Returns:
        Where the step lies in the recording.

    Raises:
        ZooError: `folder` exists, or no episode can be read.
    """
    require_new(folder)
    for index in range(len(source)):
        try:
            episode = source.read(index)
            encoded = {
                key.rpartition(".")[2]: bytes(frames.encoded[0])
                for key, frames in episode.images.items()
                if isinstance(frames, Frames)
            }
        except ZooError:
            # Its turn to be reported comes when the recording is converted.
            continue
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for camera, picture in encoded.items():
            (partial / f"{camera}{images.suffix(picture)}").write_bytes(picture)
        (partial / "state.txt").write_text(_line(episode.columns[STATE][0].tolist()))
        (partial / "action.txt").write_text(_line(episode.columns[ACTION][0].tolist()))
        (partial / "prompt.txt").write_text(episode.tasks[0] + "\n", encoding="utf-8")
        partial.rename(folder)
        return source.locate(index)
    raise ZooError("no episode can be read", do="see what is wrong with --dry-run")


def _line(numbers: Iterable[float]) -> str:
    return " ".join(f"{number:.9g}" for number in numbers) + "\n"
