"""The subtask of every frame, read from a dataset's own files."""

import numpy as np
import pandas as pd
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from subtask_data import SUBTASKS, write_subtask_dataset

from lerobot_plugins.errors import ZooError
from lerobot_plugins.processing.subtask_table import read_subtasks, training_subtasks

EXPECTED = [SUBTASKS[frame >= 4] for length in (9, 7) for frame in range(length)]


@pytest.mark.parametrize("native", [True, False])
def test_both_forms_say_the_same(native, tmp_path):
    root = write_subtask_dataset(tmp_path / "data", native=native)
    dataset = LeRobotDataset("local/toy", root=root)
    assert len(dataset[5]) > 0
    assert training_subtasks(dataset.meta).of(np.arange(16)) == EXPECTED
    with pytest.raises(ZooError, match="0 to 15"):
        training_subtasks(dataset.meta).of(np.array([16]))


def test_what_is_missing_is_named(tmp_path):
    root = write_subtask_dataset(tmp_path / "data")
    with pytest.raises(ZooError, match=r"no subtasks to learn(.|\n)*--subtasks=skill"):
        read_subtasks(root, ("action", "index"))
    with pytest.raises(ZooError, match="whole dataset on disk"):
        read_subtasks(tmp_path / "nowhere", ("subtask_index",))
    table = root / "meta/subtasks.parquet"
    for texts, said in (
        (["reach"], r"does not have(.|\n)*got: +1"),
        (["reach", " "], "8 of 16 frames have no subtask(.|\n)*frame 4"),
    ):
        index = pd.Index(texts, name="subtask")
        pd.DataFrame({"subtask_index": range(len(texts))}, index=index).to_parquet(table)
        with pytest.raises(ZooError, match=said):
            read_subtasks(root, ("subtask_index",))
    table.unlink()
    with pytest.raises(ZooError, match="cannot be read"):
        read_subtasks(root, ("subtask_index",))
    native = write_subtask_dataset(tmp_path / "native", ("", "lift it"), native=True)
    with pytest.raises(ZooError, match="8 of 16 frames have no subtask"):
        read_subtasks(native, ("language_persistent",))
