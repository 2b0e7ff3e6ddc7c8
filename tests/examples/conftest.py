"""The example scripts import each other by their folder, as Python does when it runs one of them."""

import sys
from pathlib import Path

SAMPLE_DATA = Path(__file__).parents[2] / "examples" / "sample_data"
sys.path.append(str(SAMPLE_DATA))
