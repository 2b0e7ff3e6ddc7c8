"""The example scripts import each other by their folder, as Python does when it runs one of them."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path += [str(EXAMPLES / folder) for folder in ("sample_data", "robots", "conversion", "memory_tasks")]
