"""The example scripts are imported by their folder, as Python does when it runs one of them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "examples" / "sample_data"))
