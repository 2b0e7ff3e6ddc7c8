"""Observations from files: pictures, a prompt, a state; single ones and sequences.

Legend: N observations in the order of time, T steps that the policy sees, S state dimensions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.utils.constants import OBS_IMAGES, OBS_STATE
from PIL import Image, UnidentifiedImageError

from lerobot_plugins.errors import ZooError, first_names

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
MODES = ("RGB", "RGBA", "L", "P", "CMYK")  # of 8 bits


@dataclass
class Sample:
    """What is known before the policy is loaded.

    Args:
        pictures: Camera -> files in the order of time.
        prompt: The task.
        state: S numbers, N times S, or None.
        action_HA: Recorded actions to compare with, flat.
    """

    pictures: dict[str, list[Path]] = field(default_factory=dict)
    prompt: str = ""
    state: list[float] | None = None
    action: list[float] | None = None


def read_folder(folder: Path) -> Sample:
    """A dumped sample: `<camera>.png` for each camera, `state.txt`, `prompt.txt`, `action.txt`.

    Raises:
        ZooError: No such folder, no picture in it, or a file that does not hold numbers.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    pictures = {path.stem: [path] for path in paths if path.suffix.lower() in PICTURE_ENDINGS}
    if not pictures:
        raise ZooError(
            f"{folder} holds no sample",
            got=first_names(path.name for path in paths) or "nothing",
            expected="a picture for each camera (image_1.png), state.txt, prompt.txt",
            do="name a folder that `lerobot-plugins convert vla-parquet --dump` wrote",
        )
    prompt = folder / "prompt.txt"
    return Sample(
        pictures,
        prompt.read_text(encoding="utf-8").strip() if prompt.is_file() else "",
        _numbers(folder / "state.txt"),
        _numbers(folder / "action.txt"),
    )


def parse_images(named: Sequence[str]) -> dict[str, list[Path]]:
    """Camera -> files, from `camera=path` given in the order of time.

    Raises:
        ZooError: One is not of that form.
    """
    pictures: dict[str, list[Path]] = {}
    for text in named:
        camera, equals, path = text.partition("=")
        if not (camera and equals and path):
            raise ZooError("an --image names no camera", got=text, expected="--image camera=path")
        pictures.setdefault(camera, []).append(Path(path))
    return pictures


def windows(sample: Sample, config: Any, every: bool, notes: list[str]) -> Iterator[dict[str, Any]]:
    """Observations as LeRobot's loader gives them, with a batch of one.

    Args:
        sample: The files.
        config: The policy's configuration.
        every: One window for each of the N observations, not only for the newest.
        notes: Gets what the reader should know.

    Raises:
        ZooError: Cameras, sequence lengths or state do not fit the policy; a picture cannot be read.
    """
    pictures = _by_feature(sample.pictures, config)
    length = _length(sample.pictures)
    state_NS = _state(sample.state, config, length, notes)
    decoded = {key: torch.stack([_picture(path) for path in paths]) for key, paths in pictures.items()}
    for key, pictures_NCHW in decoded.items():
        trained, size = tuple(config.image_features[key].shape[-2:]), tuple(pictures_NCHW.shape[-2:])
        if size != trained:
            notes.append(
                f"{key} is {size[0]} x {size[1]}, the policy was trained on {trained[0]} x {trained[1]}"
            )
    deltas = config.observation_delta_indices
    steps = len(deltas) if deltas is not None else 1
    if length < steps:
        notes.append(
            f"{length} of {steps} observation steps are there: the first stands in for those before it"
        )
    for newest in range(length) if every else [length - 1]:
        wanted = [newest + delta for delta in (deltas or [0])]
        index = [max(0, place) for place in wanted]
        observation: dict[str, Any] = {"task": [sample.prompt]}
        values = decoded | ({OBS_STATE: state_NS} if state_NS is not None else {})
        for key, value in values.items():
            chosen = value[index]
            observation[key] = chosen[None] if deltas is not None else chosen
            if deltas is not None:
                observation[f"{key}_is_pad"] = torch.tensor([[place < 0 for place in wanted]])
        yield observation


def _by_feature(pictures: dict[str, list[Path]], config: Any) -> dict[str, list[Path]]:
    cameras = {key.removeprefix(f"{OBS_IMAGES}."): key for key in config.image_features}
    given = {name.removeprefix(f"{OBS_IMAGES}."): paths for name, paths in pictures.items()}
    wrong, missing = sorted(given.keys() - cameras.keys()), sorted(cameras.keys() - given.keys())
    if wrong or missing:
        raise ZooError(
            "the pictures are not those of the policy's cameras",
            got=", ".join(sorted(given)) or "none",
            expected=", ".join(sorted(cameras)),
            do="pass one --image camera=path for each camera"
            + (f"; '{wrong[0]}' is none of them" if wrong else f"; '{missing[0]}' is missing"),
        )
    return {cameras[name]: paths for name, paths in given.items()}


def _length(pictures: dict[str, list[Path]]) -> int:
    lengths = {name: len(paths) for name, paths in pictures.items()}
    if len(set(lengths.values())) > 1:
        raise ZooError(
            "the cameras have different numbers of pictures",
            got=", ".join(f"{name} {count}" for name, count in lengths.items()),
            expected="as many of each, in the order of time",
        )
    return next(iter(lengths.values()), 1)


def _state(values: list[float] | None, config: Any, length: int, notes: list[str]) -> torch.Tensor | None:
    feature = config.robot_state_feature
    width = int(feature.shape[0]) if feature is not None and getattr(config, "use_state_input", True) else 0
    given = len(values or ())
    if given and not width:
        notes.append("the policy takes no state: the given one is not used")
        return None
    if not width:
        return None
    if given not in (width, width * length):
        raise ZooError(
            "the state has the wrong width",
            got=f"{given} numbers" if given else "no state",
            expected=f"{width} numbers" + (f", or {length} times as many" if length > 1 else ""),
            do="pass --state with the policy's observation.state, or state.txt in the sample's folder",
        )
    state = torch.tensor(values, dtype=torch.float32).reshape(-1, width)
    if not torch.isfinite(state).all():
        raise ZooError("the state holds numbers that are not finite", got=values)
    if len(state) < length:
        notes.append(f"one state for {length} observations: it is repeated")
    return state.expand(length, width)


def _picture(path: Path) -> torch.Tensor:
    """(3, h, w) float32 in [0, 1]."""
    try:
        with Image.open(path) as image:
            if image.mode not in MODES:
                raise ZooError(f"{path} is no picture of 8 bits", got=image.mode, expected=", ".join(MODES))
            rgb_HWC = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise ZooError(
            f"{path} is no picture that can be read",
            got=str(error) if path.exists() else "no such file",
            expected="a PNG or JPEG file",
            do="check the path",
        ) from error
    return torch.from_numpy(rgb_HWC.copy()).permute(2, 0, 1).float() / 255


def _numbers(path: Path) -> list[float] | None:
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8").translate(str.maketrans(",;[]()", "      "))
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise ZooError(
            f"{path} does not hold numbers", got=str(error), expected="numbers and spaces"
        ) from error
