"""Video, GPU and disk, as LeRobot's commands will meet them."""

import importlib
import os
import shutil
from pathlib import Path

from lerobot_plugins.doctor.finding import OK, PROBLEM, WARNING, Finding

GIGABYTE = 1e9
# A checkpoint of the full-size policies is about 7 GB and training keeps several.
ROOM_WANTED = 20 * GIGABYTE
ROOM_NEEDED = 1 * GIGABYTE
LEROBOT_ENCODER = "libsvtav1"  # LeRobot's default for `--dataset.rgb_encoder.vcodec`


def check_video() -> Finding:
    """Which decoder LeRobot will choose, and whether PyAV has the encoder it writes with."""
    import av  # not above: each of the three checks lives without the others' packages

    if LEROBOT_ENCODER not in av.codecs_available:
        detail = f"PyAV {av.__version__} has no {LEROBOT_ENCODER}, LeRobot's default video encoder"
        return Finding("video", PROBLEM, detail, "pip install --force-reinstall av (the wheel carries it)")
    # LeRobot tries the same three errors and falls back to PyAV behind a warning of many lines.
    try:
        importlib.import_module("torchcodec")
    except (ImportError, OSError, RuntimeError) as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        detail = f"torchcodec does not load ({cause}); LeRobot falls back to pyav, which works"
        do = "pass --dataset.video_backend=pyav, or install FFmpeg 4 to 8 for the faster torchcodec"
        return Finding("video", WARNING, detail, do)
    return Finding("video", OK, "LeRobot will decode with torchcodec")


def check_gpu() -> Finding:
    """Every GPU with its memory and whether it computes in bfloat16."""
    import torch

    if torch.cuda.is_available():
        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        listed = ", ".join(f"{gpu.name} with {gpu.total_memory / GIGABYTE:.0f} GB" for gpu in found)
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Finding("gpu", OK, f"{listed}; bfloat16")
        return Finding("gpu", WARNING, f"{listed}; no bfloat16", "pass --policy.dtype=float32")
    if torch.backends.mps.is_available():
        return Finding("gpu", OK, "Apple GPU (mps)")
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for the CPU"
    do = "pass --policy.device=cpu; the tiny presets train on a CPU, the full-size ones need a GPU"
    return Finding("gpu", WARNING, f"none (torch {torch.__version__}, {build})", do)


def check_disk() -> Finding:
    """Room and rights where LeRobot keeps datasets and calibrations."""
    from lerobot.utils.constants import HF_LEROBOT_HOME

    existing = next(folder for folder in (HF_LEROBOT_HOME, *HF_LEROBOT_HOME.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / GIGABYTE:.0f} GB free in {HF_LEROBOT_HOME}"
    do = "set HF_LEROBOT_HOME to a folder with more room"
    if not _writable(existing):
        return Finding(
            "disk", PROBLEM, f"{existing} is not writable", "set HF_LEROBOT_HOME to a folder of yours"
        )
    if free < ROOM_NEEDED:
        return Finding("disk", PROBLEM, detail, do)
    return Finding("disk", WARNING, detail, do) if free < ROOM_WANTED else Finding("disk", OK, detail)


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK)
