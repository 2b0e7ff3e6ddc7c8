"""Everything that can be wrong with rows: its name, its place, and what the two modes make of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from rlds_samples import encoded
from vla_rows import Row, changed, episode_rows, recording, source, write

from lerobot_dataset_vla_parquet.episodes import Rules
from lerobot_dataset_vla_parquet.source import VlaParquetSource
from lerobot_plugins.cli.main import main
from lerobot_plugins.conversion.preview import preview
from lerobot_plugins.errors import ZooError

Change = Callable[[list[Row]], object]


def put(row: int, **values: Any) -> Change:
    """Replace values of one row."""
    return lambda rows: rows[row].update(values)


def cut(encoded: bytes) -> bytes:
    return encoded[: len(encoded) // 2]


@dataclass
class Case:
    """A fault and what is said of it.

    Args:
        change: Makes it, in episodes of 5, 4 and 3 rows.
        strict: What the error of the strict mode says.
        lenient: Lengths of the episodes that the lenient mode keeps.
        types: Of columns.
        options: What makes it right.
        fixed: Lengths of the episodes then.
    """

    change: Change
    strict: str
    lenient: list[int]
    types: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    fixed: list[int] = field(default_factory=list)


NULLABLE_INT = {"is_first": pa.float64()}
CASES = {
    "not-first": Case(put(0, is_first=False), "rows.parquet, row 0, column 'is_first'", [4, 3]),
    "unterminated": Case(put(4, is_last=False, is_terminal=False), "row 4, column 'is_last'", [5, 4, 3]),
    "unterminated at the end": Case(
        put(11, is_last=False, is_terminal=False), "row 11, column 'is_last'", [5, 4, 3]
    ),
    "after-last": Case(put(5, is_first=False), "row 5, column 'is_first'", [5, 3]),
    "bad-flag": Case(put(6, is_last=None), "row 6, column 'is_last'", [5, 3]),
    "bad-flag NaN": Case(put(5, is_first=float("nan")), "row 5, column 'is_first'", [5, 3], NULLABLE_INT),
    "bad-flag 2": Case(put(5, is_first=2.0), "row 5, column 'is_first'", [5, 3], NULLABLE_INT),
    "terminal-not-last": Case(put(2, is_terminal=True), "row 2, column 'is_terminal'", [5, 4, 3]),
    "prompt-changes": Case(
        put(7, prompt="another"),
        "row 7, column 'prompt'",
        [5, 4, 3],
        options={"rules": Rules(allow_prompt_change=True)},
        fixed=[5, 4, 3],
    ),
    "no-prompt": Case(
        lambda rows: [row.update(prompt=" ") for row in rows[5:9]],
        "row 5, column 'prompt'",
        [5, 3],
        options={"default_prompt": "go"},
        fixed=[5, 4, 3],
    ),
    "bad-numbers null": Case(put(10, state=None), "row 10, column 'state'", [5, 4]),
    "bad-numbers NaN": Case(
        put(10, action=[0.0, float("nan"), 0.0]), "row 10, column 'action': number 1", [5, 4]
    ),
    "bad-numbers float64 beyond float32": Case(put(1, action=[1e300, 0, 0]), "number 0 is not fin", [4, 3]),
    "bad-numbers null within": Case(put(1, state=[0, None, 0, 0]), "row 1, column 'state': number 1", [4, 3]),
    "bad-numbers ragged": Case(put(3, state=[0.0]), "row 3, column 'state'", [4, 3]),
    "bad-picture null": Case(put(6, image_1=None), "rows.parquet, row 6, column 'image_1'", [5, 3]),
    "bad-picture empty": Case(put(6, image_1=b""), "row 6, column 'image_1'", [5, 3]),
    "bad-picture text": Case(put(6, image_1=b"not a picture"), "row 6, column 'image_1'", [5, 3]),
    "missing-aux": Case(
        put(6, image_2=None),
        "row 6, column 'image_2'",
        [5, 3],
        options={"missing_aux": "black"},
        fixed=[5, 4, 3],
    ),
    "too-short": Case(
        lambda rows: rows.insert(5, episode_rows(9, 1)[0]),
        "row 5, column 'is_first'",
        [5, 4, 3],
        options={"rules": Rules(min_length=1)},
        fixed=[5, 1, 4, 3],
    ),
}


def convert(rows: Path, root: Path, *options: str) -> int:
    fixed = ["--fps", "10", "--repo-id", "local/x", "--workers", "1", "--images", "jpeg", "--root", str(root)]
    return main(["convert", "vla-parquet", str(rows), *fixed, *options])


def lengths(root: Path) -> list[int]:
    return pq.read_table(root / "meta/episodes")["length"].to_pylist()


def usable(source: VlaParquetSource) -> tuple[list[int], list[str]]:
    """The lengths of the episodes that can be read with all pictures, and what is said of the others."""
    table = preview(source, images="jpeg", on_error="skip").table
    lengths = [episode["frames"] for episode in table["episodes"]]
    return lengths, [episode["reason"] for episode in table["left_out"]]


@pytest.mark.parametrize("name", CASES)
def test_a_fault_stops_or_is_left_out_and_reported(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    rows = write(tmp_path / "rows.parquet", changed(case.change), **case.types)
    kind = f"[{name.split()[0]}]"
    if kind == "[bad-picture]":
        _, errors = usable(source(rows))
        said = errors[0]
    else:
        with pytest.raises(ZooError) as raised:
            source(rows)
        said = str(raised.value)
        assert "episode" in said
    assert kind in said
    assert case.strict in said
    assert "rows.parquet" in said

    lenient = source(rows, tolerate=True, rules=Rules(lenient=True))
    lengths, errors = usable(lenient)
    assert lengths == case.lenient
    reported = [*errors, *lenient.findings()]
    assert reported
    assert all(kind in text for text in reported)
    if case.options:
        assert usable(source(rows, **case.options)) == (case.fixed, [])


def test_the_lenient_mode_converts_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    rows = recording((5, 4, 3, 6))
    rows[0]["is_first"] = False
    rows[8]["is_last"] = rows[8]["is_terminal"] = False
    path = write(tmp_path / "rows.parquet", rows)
    assert convert(path, tmp_path / "out") == 2
    assert "[not-first], episode 0 (1 more have problems)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert convert(path, tmp_path / "out", "--mode", "lenient") == 1
    assert lengths(tmp_path / "out") == [4, 3, 6]
    assert "skipped episode 0 (rows.parquet, rows 0 to 4)" in caplog.text
    assert "repaired in episode 1: rows.parquet, row 8, column 'is_last'" in caplog.text
    provenance = json.loads((tmp_path / "out/meta/provenance.json").read_text())
    assert [entry["episode"] for entry in provenance["skipped"]] == [0]
    assert "[not-first]" in provenance["skipped"][0]["reason"]
    assert "[unterminated]" in provenance["source"]["findings"][0]
    assert next(iter(provenance["source"]["files"]))["sha256"]


def test_a_picture_cut_short_is_found_where_it_is_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = recording()
    rows[7]["image_2"] = cut(rows[7]["image_2"])
    write(tmp_path / "rows.parquet", rows)
    assert convert(tmp_path / "rows.parquet", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "frame 2 (rows.parquet, row 7, column 'image_2'): the JPEG picture is damaged" in said
    assert "episode 1" in said
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", "--on-error", "quarantine") == 1
    report = json.loads((tmp_path / "out/meta/quarantine.json").read_text())
    (entry,) = report["set_aside"]
    assert (report["converted"], entry["episode"], entry["files"]) == (2, 1, ["rows.parquet"])
    assert "the JPEG picture is damaged" in entry["reason"]
    assert lengths(tmp_path / "out") == [5, 3]


def test_a_picture_of_another_size_is_an_error_or_resized(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = recording()
    rows[7]["image_1"] = encoded(0, size=48)
    write(tmp_path / "rows.parquet", rows)
    assert convert(tmp_path / "rows.parquet", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "frame 2 (rows.parquet, row 7, column 'image_1'): a picture has another size" in said
    assert convert(tmp_path / "rows.parquet", tmp_path / "other", "--resize", "24x20") == 0
    info = json.loads((tmp_path / "other/meta/info.json").read_text())
    assert info["features"]["observation.images.image_1"]["shape"] == [24, 20, 3]


def test_no_row_begins_an_episode(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for number, length in enumerate((5, 4)):
        rows = episode_rows(number, length)
        for row in rows:
            row.update(is_first=False)
        write(tmp_path / f"rows/{number}.parquet", rows)
    for mode in ("strict", "lenient"):
        assert convert(tmp_path / "rows", tmp_path / "out", "--mode", mode) == 2
        assert "[no-first]" in capsys.readouterr().err
    assert convert(tmp_path / "rows", tmp_path / "out", "--split-at-file-boundary") == 0
    assert lengths(tmp_path / "out") == [5, 4]


def test_dropped_episodes_are_reported_and_other_faults_still_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    rows = recording()
    rows[6]["image_2"] = None
    write(tmp_path / "rows.parquet", rows)
    drop = ("--missing-aux", "drop-episode")
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", *drop) == 1
    assert lengths(tmp_path / "out") == [5, 3]
    assert "left out an episode: rows.parquet, row 6" in caplog.text
    rows[0]["state"] = None
    write(tmp_path / "rows.parquet", rows)
    assert convert(tmp_path / "rows.parquet", tmp_path / "other", *drop) == 2
    assert "[bad-numbers]" in capsys.readouterr().err


def test_black_pictures_stand_where_there_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = recording()
    for row in rows[6:8]:
        row["image_2"] = None
    write(tmp_path / "rows.parquet", rows)
    assert convert(tmp_path / "rows.parquet", tmp_path / "out", "--missing-aux", "black") == 1
    assert "camera 'image_2' is black in 2 rows" in caplog.text
    dataset = LeRobotDataset("local/x", root=tmp_path / "out")
    dark = [index for index in range(12) if not dataset[index]["observation.images.image_2"].any()]
    assert dark == [6, 7]


def test_a_camera_that_never_has_a_picture_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = recording()
    for row in rows:
        row["image_2"] = None
    write(tmp_path / "rows.parquet", rows)
    assert convert(tmp_path / "rows.parquet", tmp_path / "out") == 1
    assert "left out camera 'image_2'" in caplog.text
    assert "image_2" not in json.loads((tmp_path / "out/meta/info.json").read_text())["features"]


def chunked(steps: int = 3, horizon: int = 4) -> list[Row]:
    """Rows whose actions hold the next steps as well."""
    rows = recording((8, 6))
    for first, length in ((0, 8), (8, 6)):
        steps_TA = np.random.default_rng(first).random((length + horizon, steps)).round(3)
        for step in range(length):
            rows[first + step]["action"] = steps_TA[step : step + horizon].reshape(-1).tolist()
    return rows


def test_rows_that_hold_chunks_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = chunked()
    path = write(tmp_path / "rows.parquet", rows)
    assert convert(path, tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "[chunked-actions]" in said
    assert "12 numbers: 4 steps of 3" in said
    assert convert(path, tmp_path / "out", "--per-action-dim", "3") == 0
    dataset = LeRobotDataset("local/x", root=tmp_path / "out")
    np.testing.assert_allclose(dataset[9]["action"], np.float32(rows[9]["action"][:3]))

    rows[9]["action"][3] += 1
    write(path, rows)
    assert convert(path, tmp_path / "other", "--per-action-dim", "3") == 2
    said = capsys.readouterr().err
    assert "the second step of frame 1's action is not the first of the next [chunked-actions]" in said
    assert convert(path, tmp_path / "other", "--per-action-dim", "5") == 2
    nested = [row | {"action": [row["action"][:3], row["action"][3:6]]} for row in rows]
    write(path, nested, action=pa.list_(pa.list_(pa.float32())))
    assert convert(path, tmp_path / "other") == 2
    assert capsys.readouterr().err.count("[chunked-actions]") == 2


@pytest.mark.parametrize("column", ["image_1", "image_2"])
def test_both_spellings_of_a_camera_are_read_and_two_at_once_refused(
    tmp_path: Path, column: str, capsys: pytest.CaptureFixture
) -> None:
    rows = recording()
    both = [row | {f"{column}_bytes": row[column]} for row in rows]
    bytes_only = [{**row, column: None} for row in both]
    types: dict[str, Any] = {f"{column}_bytes": pa.binary()}
    path = write(tmp_path / "rows.parquet", bytes_only, **types, **{column: None})
    assert convert(path, tmp_path / "one") == 0
    write(path, both, **types)
    for mode in ("strict", "lenient"):
        assert convert(path, tmp_path / "two", "--mode", mode) == 2
        said = capsys.readouterr().err
        assert "[two-columns]" in said
        assert f"{column}, {column}_bytes" in said
    option = f"--{column.replace('_', '')}-column"
    assert convert(path, tmp_path / "two", option, f"{column}_bytes") == 0


def test_unreadable_files_stop_unless_they_are_to_be_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    # The second episode goes on in the file that is bad, and the third begins in it.
    rows = recording((5, 6, 7, 3))
    for number, (start, stop) in enumerate([(0, 8), (8, 14), (14, 21)]):
        write(tmp_path / f"rows/{number}.parquet", rows[start:stop])
    bad = tmp_path / "rows/1.parquet"
    bad.write_bytes(bad.read_bytes()[:-20])
    for mode in ("strict", "lenient"):
        assert convert(tmp_path / "rows", tmp_path / "out", "--mode", mode) == 2
        assert "1.parquet cannot be read [unreadable-file]" in capsys.readouterr().err
    assert convert(tmp_path / "rows", tmp_path / "out", "--skip-bad-files") == 2
    assert "[unterminated]" in capsys.readouterr().err
    options = ("--skip-bad-files", "--mode", "lenient")
    assert convert(tmp_path / "rows", tmp_path / "out", *options) == 1
    assert lengths(tmp_path / "out") == [5, 3]
    assert "left out 1.parquet" in caplog.text
    assert "an episode may go on in a file that was left out" in caplog.text


def test_a_form_other_than_that_of_a_dataset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = write(tmp_path / "rows.parquet", recording())
    assert convert(path, tmp_path / "out") == 0
    match = ("--match", str(tmp_path / "out"))
    assert convert(path, tmp_path / "same", *match) == 0
    wider = [row | {"state": [*row["state"], 0.0]} for row in recording()]
    write(path, wider)
    assert convert(path, tmp_path / "other", *match, "--robot-type", "arm") == 2
    said = capsys.readouterr().err
    assert "[other-form]" in said
    assert "robot_type unknown, arm; observation.state: shape [4], [5]" in said


def test_several_faults_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = recording()
    rows[1]["state"] = rows[6]["state"] = rows[10]["state"] = None
    path = write(tmp_path / "rows.parquet", rows)
    assert convert(path, tmp_path / "out") == 2
    assert "episode 0 (2 more have problems)" in capsys.readouterr().err
    assert convert(path, tmp_path / "out", "--on-error", "skip") == 2
    assert "episode 0 (2 more have problems)" in capsys.readouterr().err
