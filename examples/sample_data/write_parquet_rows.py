"""Write the sample demonstrations as rows of Parquet files, the form that `convert vla-parquet` reads.

    .venv/bin/python examples/sample_data/write_parquet_rows.py --out outputs/parquet_rows

Each row is a step: `image_1`, `image_2` (JPEG bytes), `state`, `action` (lists of float32), `prompt`,
`is_first`, `is_last`, `is_terminal`. The pictures are those of the RLDS sample, byte for byte.
"""

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_dataset_rlds import PRESETS
from lerobot_dataset_rlds.mapping import load_mapping
from lerobot_dataset_rlds.source import RldsSource
from lerobot_plugins.conversion.source import Episode, Frames

SAMPLE = Path(__file__).resolve().parent / "rlds"
CAMERAS = {"image_1": "observation.images.image", "image_2": "observation.images.image2"}


def as_table(episode: Episode) -> pa.Table:
    """One episode as rows."""
    length = len(episode.tasks)
    columns: dict[str, pa.Array] = {}
    for column, key in CAMERAS.items():
        pictures = episode.images[key]
        assert isinstance(pictures, Frames)
        columns[column] = pa.array([bytes(encoded) for encoded in pictures.encoded], pa.binary())
    for column, key in (("state", "observation.state"), ("action", "action")):
        columns[column] = pa.array(list(episode.columns[key]), pa.list_(pa.float32()))
    columns["prompt"] = pa.array(episode.tasks)
    ends = [step == length - 1 for step in range(length)]
    columns["is_first"] = pa.array([step == 0 for step in range(length)])
    return pa.table(columns | {"is_last": pa.array(ends), "is_terminal": pa.array(ends)})


def write_rows(out: Path, episodes_per_file: int = 5) -> list[Path]:
    """Write the ten episodes, several to a file; returns the files."""
    source = RldsSource.open(SAMPLE, load_mapping(PRESETS / "libero.yaml"))
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for first in range(0, len(source), episodes_per_file):
        numbers = range(first, min(first + episodes_per_file, len(source)))
        files.append(out / f"rows_{len(files)}.parquet")
        pq.write_table(pa.concat_tables(as_table(source.read(number)) for number in numbers), files[-1])
    return files


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("outputs/parquet_rows"))
    for file in write_rows(parser.parse_args().out):
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
