"""Rows as a source: files, columns of every kind, pictures of every kind, row groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rlds_samples import picture
from vla_rows import SIZE, episode_rows, picture_file, recording, source, write

from lerobot_dataset_vla_parquet.episodes import Rules
from lerobot_dataset_vla_parquet.inputs import find_files
from lerobot_dataset_vla_parquet.pictures import plain
from lerobot_plugins.conversion import images
from lerobot_plugins.conversion.parquet_rows import RowCursor
from lerobot_plugins.errors import ZooError

MAIN = "observation.images.image_1"


def seen(found: Any) -> list[Any]:
    """All episodes as plain values."""
    episodes = [found.read(index) for index in range(len(found))]
    return [
        (
            {key: values.tolist() for key, values in episode.columns.items()},
            {key: list(frames.encoded) for key, frames in episode.images.items()},
            list(episode.tasks),
        )
        for episode in episodes
    ]


def test_rows_become_columns_pictures_and_tasks(tmp_path: Path) -> None:
    rows = recording()
    found = source(write(tmp_path / "rows.parquet", rows))
    assert len(found) == 3
    assert found.features[MAIN]["shape"] == (SIZE, SIZE, 3)
    start = 0
    for columns, pictures, tasks in seen(found):
        mine = rows[start : start + len(tasks)]
        start += len(tasks)
        for key, column in (("observation.state", "state"), ("action", "action")):
            np.testing.assert_array_equal(columns[key], np.float32([row[column] for row in mine]))
        assert columns["next.done"] == [[row["is_last"]] for row in mine]
        assert columns["next.terminal"] == [[row["is_terminal"]] for row in mine]
        assert pictures[MAIN] == [row["image_1"] for row in mine]
        assert pictures["observation.images.image_2"] == [row["image_2"] for row in mine]
        assert tasks == [row["prompt"] for row in mine]
    assert start == len(rows)
    assert found.locate(1) == "rows.parquet, rows 5 to 8"


@pytest.mark.parametrize("group", [1, 2, 3, 7, 100])
def test_row_groups_and_files_do_not_matter(tmp_path: Path, group: int) -> None:
    rows = recording((5, 4, 3, 70))
    expected = seen(source(write(tmp_path / "whole.parquet", rows)))
    for number, start in enumerate(range(0, len(rows), 8)):
        write(tmp_path / f"split/rows_{number}.parquet", rows[start : start + 8], group)
    found = source(tmp_path / "split")
    assert seen(found) == expected
    assert found.locate(1) == "rows_0.parquet, rows 5 to 7; rows_1.parquet, rows 0 to 0"
    assert found.files(1) == ["rows_0.parquet", "rows_1.parquet"]


def test_columns_of_every_kind_are_read_alike(tmp_path: Path) -> None:
    rows = recording()
    expected = seen(source(write(tmp_path / "rows.parquet", rows)))
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for row in rows:
        row["image_1"] = {"bytes": row["image_1"], "path": None}
        row["image_2"] = list(row["image_2"])
        row["is_first"], row["is_last"] = int(row["is_first"]), float(row["is_last"])
    kinds: dict[str, Any] = {
        "image_1": struct,
        "image_2": pa.list_(pa.uint8()),
        "state": pa.list_(pa.float32(), 4),
        "action": pa.large_list(pa.float64()),
        "prompt": pa.large_string(),
        "is_first": pa.int8(),
        "is_last": pa.float32(),
    }
    found = source(write(tmp_path / "other.parquet", rows, **kinds))
    assert seen(found) == expected
    table = pq.read_table(tmp_path / "other.parquet")
    coded = table.set_column(4, "prompt", table["prompt"].cast(pa.string()).dictionary_encode())
    pq.write_table(coded, tmp_path / "coded.parquet")
    assert seen(source(tmp_path / "coded.parquet")) == expected


def test_names_of_columns_and_more_cameras(tmp_path: Path) -> None:
    names = {"image_1": "rgb_static", "image_2": "rgb_gripper", "state": "proprio", "prompt": "instruction"}
    rows = recording()
    renamed = [{names.get(key, key): value for key, value in row.items()} for row in rows]
    renamed = [row | {"side": row["rgb_static"], "goal": "the goal"} for row in renamed]
    types: dict[str, Any] = {
        "rgb_static": pa.binary(),
        "rgb_gripper": pa.binary(),
        "proprio": pa.list_(pa.float32()),
        "instruction": pa.string(),
        "side": pa.binary(),
        "goal": pa.string(),
    } | dict.fromkeys(names)
    path = write(tmp_path / "rows.parquet", renamed, **types)
    found = source(path, cameras={"side": "side"}, state_names=("x", "y", "z", "w"))
    cameras = [key for key in found.features if key.startswith("observation.images")]
    assert cameras == [f"observation.images.{name}" for name in ("image_1", "image_2", "side")]
    assert found.features["observation.state"]["names"] == ["x", "y", "z", "w"]
    assert found.read(0).tasks[0] == "task 0"
    assert source(path, columns={"prompt": "goal"}).read(0).tasks[0] == "the goal"
    with pytest.raises(ZooError, match=r"--camera top=nowhere[^$]*no column 'nowhere'"):
        source(path, cameras={"top": "nowhere"})
    with pytest.raises(ZooError, match=r"column 'goal'[^$]*holds something else"):
        source(path, columns={"state": "goal"})
    with pytest.raises(ZooError, match=r"row 0, column 'proprio'[^$]*4 numbers[^$]*2 numbers"):
        source(path, state_names=("x", "y"))


def test_episodes_end_before_the_next_where_nothing_marks_their_ends(tmp_path: Path) -> None:
    rows = recording()
    found = source(write(tmp_path / "rows.parquet", rows, is_last=None, is_terminal=None))
    assert [len(found.read(index).tasks) for index in range(len(found))] == [5, 4, 3]
    assert found.read(1).columns["next.done"].ravel().tolist() == [False, False, False, True]
    assert "next.terminal" not in found.features


def test_the_natural_order_of_files(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        write(tmp_path / f"day/rows_{number}.parquet", episode_rows(number, 3))
    (tmp_path / "day/notes.txt").touch()
    (tmp_path / "day/.hidden.parquet").touch()
    assert [file.name for file in find_files([str(tmp_path / "day")])] == [
        "rows_1.parquet",
        "rows_9.parquet",
        "rows_10.parquet",
    ]
    pattern = str(tmp_path / "day/rows_1*.parquet")
    assert [file.name for file in find_files([pattern])] == ["rows_1.parquet", "rows_10.parquet"]
    single = str(tmp_path / "day/rows_9.parquet")
    assert find_files([single, pattern])[0].name == "rows_9.parquet"
    with pytest.raises(ZooError, match="a file is named twice"):
        find_files([single, str(tmp_path / "day")])
    with pytest.raises(ZooError, match="names nothing"):
        find_files([str(tmp_path / "night*")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match="holds no Parquet file"):
        find_files([str(tmp_path / "empty")])


def test_files_of_different_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "rows/0.parquet", episode_rows(0, 3), image_2=None)
    write(tmp_path / "rows/1.parquet", episode_rows(1, 3))
    with pytest.raises(ZooError, match=r"1.parquet has the column 'image_2', which the first file lacks"):
        source(tmp_path / "rows")
    write(tmp_path / "rows/1.parquet", episode_rows(1, 3), image_2=None, state=None)
    with pytest.raises(ZooError, match=r"1.parquet has no column 'state', which the first file has"):
        source(tmp_path / "rows")
    write(tmp_path / "rows/0.parquet", episode_rows(0, 3), state=None)
    with pytest.raises(ZooError, match=r"no column for 'state'[^$]*--state-column"):
        source(tmp_path / "rows")


def test_ordinary_pictures_pass_untouched_and_others_become_png_of_the_same_pixels() -> None:
    colour = Image.fromarray(picture(0, SIZE))
    for kind, options in (("JPEG", {}), ("PNG", {})):
        encoded = picture_file(colour, kind, **options)
        assert plain(encoded) is encoded
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = colour.quantize(16)
    cases = {
        "grey": (picture_file(colour.convert("L"), "JPEG"), None),
        "palette": (picture_file(palette), palette.convert("RGB")),
        "transparent": (picture_file(colour.convert("RGBA")), colour),
        "bitmap": (picture_file(colour, "BMP"), colour),
        "cmyk": (picture_file(colour.convert("CMYK"), "JPEG"), None),
        "turned PNG": (
            picture_file(colour, "PNG", exif=turned),
            colour.transpose(Image.Transpose.ROTATE_270),
        ),
        "turned JPEG": (picture_file(colour.crop((0, 0, 32, 16)), "JPEG", exif=turned), None),
    }
    for name, (encoded, expected) in cases.items():
        made = plain(encoded)
        assert images.suffix(made) == ".png", name
        pixels = images.decode(made, (*images.size(made), 3))
        if expected is not None:
            np.testing.assert_array_equal(pixels, np.asarray(expected), err_msg=name)
    assert images.size(plain(cases["turned JPEG"][0])) == (32, 16)
    assert images.size(plain(picture_file(colour), (10, 20))) == (10, 20)
    deep = picture_file(Image.fromarray(np.zeros((8, 8), np.uint16)))
    with pytest.raises(ZooError, match=r"more than 8 bits \[bad-picture\]"):
        plain(deep)


def test_a_cursor_reads_each_row_once_and_forwards(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"number": list(range(1000))}), path, row_group_size=300)
    cursor = RowCursor(path, ("number",))
    generator = np.random.default_rng(0)
    for start in generator.integers(0, 1000, 50).tolist():
        stop = min(start + int(generator.integers(1, 200)), 1000)
        got = [value for batch in cursor.rows(start, stop) for value in batch["number"].to_pylist()]
        assert got == list(range(start, stop))
    with pytest.raises(ZooError, match="has no row 1000"):
        cursor.row(1000)


def test_a_fault_within_a_file_names_it(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", recording((5, 4, 30)), group=4)
    column = pq.ParquetFile(path).metadata.row_group(3).column(0)
    found = source(path)
    with path.open("r+b") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(b"\xff" * 20)
    with pytest.raises(ZooError, match=r"rows.parquet cannot be read"):
        list(found.read(2).images[MAIN].encoded)
    assert len(list(found.read(0).images[MAIN].encoded)) == 5


def test_min_length_and_boundaries_are_rules(tmp_path: Path) -> None:
    for number in range(2):
        rows = episode_rows(number, 3)
        rows[0]["is_first"] = rows[2]["is_last"] = rows[2]["is_terminal"] = False
        write(tmp_path / f"rows/{number}.parquet", rows)
    found = source(tmp_path / "rows", rules=Rules(split_at_file_boundary=True))
    assert [len(found.read(index).tasks) for index in range(len(found))] == [3, 3]
