"""Text logs: what `lerobot-train` prints, and openpi's trainers."""

import re
from collections.abc import Iterator
from pathlib import Path

from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.history import History, history_of

# step:200 smpl:2K ep:10 epch:0.52 loss:1.234 grdn:0.500 lr:1.0e-05 ... ; progress bars may stand before it.
_LEROBOT = re.compile(r"\bstep:(\S+) smpl:\S+ (.*)$")
_PAIR = re.compile(r"([A-Za-z_][\w./]*):(\S+)")
# Step 100: grad_norm=0.5, loss=0.1, param_norm=1803.1
_OPENPI_JAX = re.compile(r"\bStep (\d+): (.*=.*)$")
# step=100 epoch=0 loss=0.1 lr=1.0e-05 grad_norm=0.5 time=1.0s
_OPENPI_TORCH = re.compile(r"\bstep=(\d+)[ ,](.*loss=.*)$")
_ASSIGNED = re.compile(r"([A-Za-z_][\w./]*)=([^\s,]+)")
_SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
# These count things, rounded to three digits; the step says the same exactly.
_COUNTS = {"smpl", "ep"}


def read_text_log(path: Path) -> History:
    """A log file of LeRobot or openpi.

    Raises:
        ZooError: Not readable, or without a logged step.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ZooError(f"{path} cannot be read", got=error.strerror) from error
    lines = re.split(r"[\r\n]+", text)
    rows = list(_openpi_rows(lines))
    if rows:
        return history_of(path, "openpi", rows)
    return history_of(path, "lerobot", _lerobot_rows(lines))


def _lerobot_rows(lines: list[str]) -> Iterator[tuple[int, dict[str, float]]]:
    """LeRobot writes steps from a thousand on as `1K`: the spacing of the first ones says which they are."""
    step = spacing = 0
    for line in lines:
        if not (found := _LEROBOT.search(line)):
            continue
        written = _number(found[1])
        if written is None:
            continue
        if found[1][-1] not in _SUFFIXES:
            now = int(written)
            spacing = now - step if now > step else spacing or now
        else:
            # The next step of the spacing that would be written like this; a resumed run jumps back.
            now = step + spacing if spacing and _rounded(step + spacing) == found[1] else int(written)
        step = now
        pairs = {name: _number(value) for name, value in _PAIR.findall(found[2]) if name not in _COUNTS}
        yield step, {name: value for name, value in pairs.items() if value is not None}


def _openpi_rows(lines: list[str]) -> Iterator[tuple[int, dict[str, float]]]:
    for line in lines:
        if found := _OPENPI_JAX.search(line) or _OPENPI_TORCH.search(line):
            pairs = {name: _number(value) for name, value in _ASSIGNED.findall(found[2])}
            yield int(found[1]), {name: value for name, value in pairs.items() if value is not None}


def _number(text: str) -> float | None:
    factor = _SUFFIXES.get(text[-1:], 1.0)
    try:
        return float(text[:-1] if factor != 1.0 else text) * factor
    except ValueError:
        return None


def _rounded(step: int) -> str:
    """As LeRobot writes a count."""
    value = float(step)
    for suffix in ("", *_SUFFIXES):
        if value < 1000:
            return f"{value:.0f}{suffix}"
        value /= 1000
    return str(step)
