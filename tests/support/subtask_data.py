"""The toy dataset with subtasks: as LeRobot's annotations, or as numbers and a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from lerobot.utils.io_utils import load_json, write_json
from toy_data import write_toy_dataset

SUBTASKS = ("reach for the soup", "lift it")


def write_subtask_dataset(
    root: Path, texts: Sequence[str] = SUBTASKS, native: bool = False, lengths: tuple[int, ...] = (9, 7)
) -> Path:
    """Each episode's first frames do the first subtask, those from the fourth on the second.

    Args:
        root: The folder to make.
        texts: The two subtasks.
        native: Write LeRobot's `language_persistent`, else `subtask_index` and its table.
        lengths: Frames of each episode.
    """
    write_toy_dataset(root, lengths)
    path = next((root / "data").rglob("*.parquet"))
    table = pq.read_table(path)
    frame = table["frame_index"].to_numpy()
    info: dict[str, Any] = load_json(root / "meta/info.json")
    if native:
        # As LeRobot's own writer makes them, whose type is inferred.
        rows = [
            dict.fromkeys(("role", "content", "style", "timestamp", "camera", "tool_calls"))
            | {"role": "assistant", "content": text, "style": "subtask", "timestamp": start / 20}
            for text, start in zip(texts, (0, 4), strict=True)
        ]
        column = pa.array([rows] * len(table))
        table = table.append_column("language_persistent", column)
        info["features"]["language_persistent"] = {"dtype": "language", "shape": [1], "names": None}
    else:
        table = table.append_column("subtask_index", pa.array((frame >= 4).astype(np.int64)))
        info["features"]["subtask_index"] = {"dtype": "int64", "shape": [1], "names": None}
        index = pd.Index(texts, name="subtask")
        pd.DataFrame({"subtask_index": [0, 1]}, index=index).to_parquet(root / "meta/subtasks.parquet")
    pq.write_table(table.replace_schema_metadata(None), path)
    write_json(info, root / "meta/info.json")
    return root
