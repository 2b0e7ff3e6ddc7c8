"""Statistics of a dataset on disk are those of its frames, however they are read."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from number_faults import lite_arms
from recorded_dataset import DATA, edit_info, write_recording

from lerobot_plugins.errors import ZooError
from lerobot_plugins.statistics.exact import exact_statistics, quantile_names
from lerobot_plugins.statistics.recorded import dataset_statistics


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write_recording(lite_arms(), tmp_path_factory.mktemp("written") / "set", cameras=())


@pytest.fixture
def root(written, tmp_path) -> Path:
    return shutil.copytree(written, tmp_path / "set")


def change_column(root: Path, key: str, change) -> None:
    table = pq.read_table(root / DATA)
    values = table[key].combine_chunks()
    flat = change(values.flatten().to_numpy().copy().reshape(len(values), -1))
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])
    pq.write_table(table.set_column(table.column_names.index(key), key, column), root / DATA)


@pytest.mark.parametrize("bytes_at_once", [1, 2500, 10**9])
def test_they_equal_those_of_all_frames_at_once(written, bytes_at_once):
    found = dataset_statistics(written, progress=False, bytes_at_once=bytes_at_once)
    recording = lite_arms()
    for key in ("observation.state", "action"):
        expected = exact_statistics(np.concatenate([episode[key] for episode in recording.episodes]))
        assert expected.keys() == found.stats[key].keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found.stats[key][name], value)
    assert (found.episodes, found.frames) == (3, 240)
    assert found.named("action", 3) == "left_arm_joint4.pos"
    assert found.stats["frame_index"]["max"].tolist() == [89]


def test_they_are_what_the_converter_wrote(written):
    found = dataset_statistics(written, progress=False)
    stored = json.loads((written / "meta/stats.json").read_text())
    assert {k: {n: v.tolist() for n, v in e.items()} for k, e in found.stats.items()} == stored


def test_quantiles_and_features_are_chosen(written):
    found = dataset_statistics(written, quantile_names([5, 95]), features=["action"], progress=False)
    assert set(found.stats) == {"action"}
    assert set(found.stats["action"]) == {"min", "max", "mean", "std", "count", "q05", "q95"}
    with pytest.raises(ZooError, match=r"no such numbers(.|\n)*actoin"):
        dataset_statistics(written, features=["actoin"], progress=False)


def test_files_that_lack_frames_are_refused(root):
    edit_info(root, total_frames=241)
    with pytest.raises(ZooError, match=r"do not hold all frames(.|\n)*240 in 1 files(.|\n)*241"):
        dataset_statistics(root, progress=False)


def test_a_number_that_is_not_finite_is_named(root):
    def spoil(values_TD):
        values_TD[95, 3] = np.nan
        return values_TD

    change_column(root, "action", spoil)
    for at_once in (1, 10**9):
        with pytest.raises(ZooError, match=r"action, dimension left_arm_joint4.pos, (.|\n)*nan in frame 95"):
            dataset_statistics(root, progress=False, bytes_at_once=at_once)


def test_another_width_than_info_says_is_refused(root):
    change_column(root, "action", lambda values_TD: values_TD[:, :13])
    with pytest.raises(ZooError, match=r"action in file-000.parquet (.|\n)*13 numbers(.|\n)*14 numbers"):
        dataset_statistics(root, progress=False)


def test_a_file_that_is_cut_off_is_refused(root):
    content = (root / DATA).read_bytes()
    (root / DATA).write_bytes(content[:-100])
    with pytest.raises(ZooError, match=r"file-000.parquet cannot be read"):
        dataset_statistics(root, progress=False)


def test_what_is_no_dataset_is_refused(tmp_path, root):
    with pytest.raises(ZooError, match="holds no LeRobotDataset"):
        dataset_statistics(tmp_path / "nothing", progress=False)
    edit_info(root, codebase_version="v2.1")
    with pytest.raises(ZooError, match=r"another format(.|\n)*convert_dataset_v21_to_v30"):
        dataset_statistics(root, progress=False)


def test_neither_torch_nor_lerobot_is_imported(written):
    """They take longer and more memory than the statistics of millions of frames."""
    program = (
        "import sys; from lerobot_plugins.cli.main import main; "
        f"assert main(['stats', '--root={written}']) == 0; "
        "assert not {'torch', 'lerobot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
