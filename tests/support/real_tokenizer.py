"""PaliGemma's own tokenizer, where somebody has it: tests that need it are skipped elsewhere.

Its licence has to be accepted, so it is neither in this repository nor fetched. Name its folder:

    PALIGEMMA_TOKENIZER=/path/to/paligemma-3b-pt-224 make test
"""

import os
from pathlib import Path

import pytest

VARIABLE = "PALIGEMMA_TOKENIZER"


def paligemma_folder() -> str:
    """The folder that holds its tokenizer.json; skips the test where the environment names none."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        pytest.skip(f"{VARIABLE} names no folder with PaliGemma's tokenizer.json")
    assert (Path(folder) / "tokenizer.json").is_file(), f"{VARIABLE}={folder} holds no tokenizer.json"
    return folder
