"""Writing a safetensors file one tensor at a time, in any order."""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import torch

from lerobot_plugins.errors import ZooError

DTYPES = {"float32": (torch.float32, "F32"), "bfloat16": (torch.bfloat16, "BF16")}


class SafetensorsStream:
    """A safetensors file whose tensors are written as they come; memory for one tensor suffices.

    Used as a context: the file appears under its name when the context ends with every tensor written, and
    not at all when it ends with an exception.

    Args:
        path: The file.
        shapes: Name and shape of every tensor that will be written.
        dtype: `float32` or `bfloat16`, for all of them.

    Raises:
        ZooError: On entry, where the disk has no room for the file.
    """

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "float32") -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.dtype, code = DTYPES[dtype]
        self.shapes = dict(shapes)
        self.starts: dict[str, int] = {}
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, shape in sorted(self.shapes.items()):
            start, end = end, end + torch.Size(shape).numel() * self.dtype.itemsize
            header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, end]}
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
        self.remaining = set(self.shapes)
        self.file: BinaryIO = self.partial.open("wb")
        self.file.write(self.header)
        return self

    def write(self, name: str, tensor: torch.Tensor) -> str:
        """Write one tensor, in the file's dtype, and return the SHA-256 of its bytes."""
        assert name in self.remaining, f"{name} is unknown or was written before"
        assert tuple(tensor.shape) == tuple(self.shapes[name]), name
        content = tensor.to(self.dtype).contiguous().reshape(-1).view(torch.uint8).numpy()
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
