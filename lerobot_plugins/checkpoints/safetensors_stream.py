"""Reading and writing safetensors files one tensor at a time, in any order."""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import torch
from safetensors import SafetensorError, safe_open

from lerobot_plugins.errors import ZooError

# The format's names of the kinds of tensors that policies hold.
CODES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

Shape = tuple[int, ...]


@contextmanager
def open_weights(path: Path) -> Iterator[Any]:
    """A safetensors file, open for reading one tensor at a time.

    Raises:
        ZooError: The file is absent or incomplete.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, FileNotFoundError) as error:
        raise ZooError(
            f"cannot read weights from {path}",
            got=str(error),
            expected="a complete safetensors file",
            do="copy or download the checkpoint again; a crashed save leaves a short file, "
            "then use the checkpoint before it",
        ) from error


class SafetensorsStream:
    """A safetensors file whose tensors are written as they come; memory for one tensor suffices.

    Used as a context: the file appears under its name when the context ends with every tensor written, and
    not at all when it ends with an exception.

    Args:
        path: The file.
        tensors: Name, shape and dtype of every tensor that will be written.

    Raises:
        ZooError: On entry, where the disk has no room for the file.
    """

    def __init__(self, path: Path, tensors: Mapping[str, tuple[Shape, torch.dtype]]) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.tensors = dict(tensors)
        self.starts: dict[str, int] = {}
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        # Wide elements first, so that each tensor begins at a multiple of its element's size.
        for name, (shape, dtype) in sorted(
            self.tensors.items(), key=lambda item: (-item[1][1].itemsize, item[0])
        ):
            start, end = end, end + torch.Size(shape).numel() * dtype.itemsize
            header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [start, end]}
            self.starts[name] = start
        text = json.dumps(header, separators=(",", ":")).encode()
        # Readers map the file: data begins at a multiple of 8.
        text += b" " * (-len(text) % 8)
        self.header = struct.pack("<Q", len(text)) + text
        self.size = len(self.header) + end

    def __enter__(self) -> Self:
        free = shutil.disk_usage(self.path.parent).free
        if free < self.size:
            raise ZooError(
                f"there is no room for {self.path}",
                got=f"{free / 1e9:.1f} GB free",
                expected=f"{self.size / 1e9:.1f} GB",
                do="free some space, write elsewhere, or use --dtype=bfloat16, which takes half",
            )
        self.remaining = set(self.tensors)
        self.file: BinaryIO = self.partial.open("wb")
        self.file.write(self.header)
        return self

    def write(self, name: str, tensor: torch.Tensor) -> str:
        """Write one tensor, in the dtype announced for it, and return the SHA-256 of its bytes."""
        assert name in self.remaining, f"{name} is unknown or was written before"
        shape, dtype = self.tensors[name]
        assert tuple(tensor.shape) == tuple(shape), name
        content = tensor.to(dtype).contiguous().reshape(-1).view(torch.uint8).numpy()
        self.file.seek(len(self.header) + self.starts[name])
        self.file.write(content)
        self.remaining.discard(name)
        return hashlib.sha256(content).hexdigest()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.file.close()
            self.partial.unlink()
            return
        assert not self.remaining, f"never written: {sorted(self.remaining)}"
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self.partial, self.path)
