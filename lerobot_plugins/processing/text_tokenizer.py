"""Text to token ids: a Hugging Face tokenizer.json, or bytes for the tiny preset."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from tokenizers import Tokenizer

from lerobot_plugins.errors import ZooError

BYTE = "byte"
TOKENIZER_FILE = "tokenizer.json"


class TextTokenizer(Protocol):
    """What a prompt needs of a tokenizer."""

    pad_id: int
    bos_id: int
    newline_id: int
    eos_id: int | None
    vocabulary: int

    def encode(self, text: str) -> list[int]:
        """Token ids without special tokens."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; special tokens have none."""


class ByteTokenizer:
    """One token per UTF-8 byte, three special ones before them. For the tiny preset; needs no file."""

    pad_id, bos_id = 0, 2
    eos_id: int | None = 1
    offset = 3
    newline_id = ord("\n") + offset
    vocabulary = 256 + offset

    def encode(self, text: str) -> list[int]:
        return [byte + self.offset for byte in text.encode()]

    def decode(self, ids: Sequence[int]) -> str:
        text = bytes(i - self.offset for i in ids if self.offset <= i < self.vocabulary)
        return text.decode(errors="replace")


class FileTokenizer:
    """A Hugging Face `tokenizer.json` with the special tokens of Gemma.

    Args:
        content: The bytes of the file.
        source: Where they come from, for messages.

    Raises:
        ZooError: The bytes are no tokenizer, or it lacks a token that the prompt needs.
    """

    def __init__(self, content: bytes, source: str) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises bare Exception
            raise ZooError(
                f"{source} is not a tokenizer", got=str(error), expected=f"a Hugging Face {TOKENIZER_FILE}"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        newline = self.encode("\n")
        ids = {
            "<pad>": self._tokenizer.token_to_id("<pad>"),
            "<bos>": self._tokenizer.token_to_id("<bos>"),
            "a newline": newline[0] if len(newline) == 1 else None,
        }
        missing = [name for name, value in ids.items() if value is None]
        if missing:
            raise ZooError(
                f"the tokenizer of {source} lacks tokens that the prompt needs",
                got=f"no single token for {', '.join(missing)}",
                expected="Gemma's special tokens and a newline token",
                do="set --policy.tokenizer_name to PaliGemma's tokenizer",
            )
        self.pad_id, self.bos_id, self.newline_id = ids.values()
        # Prompts end without it; only text that the model writes needs one.
        self.eos_id = self._tokenizer.token_to_id("<eos>")
        self.vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def read_tokenizer_file(name: str, revision: str | None = None) -> bytes:
    """The bytes of `tokenizer.json` in a folder, or of a model on the Hub at a revision.

    Raises:
        ZooError: Neither is there; says how to get it.
    """
    folder, model = Path(name), name
    if folder.is_dir():
        path = folder / TOKENIZER_FILE
        if path.is_file():
            return path.read_bytes()
        found = sorted(entry.name for entry in folder.iterdir())
        reason = f"the folder holds {', '.join(found) or 'nothing'}"
    else:
        try:
            return Path(hf_hub_download(name, TOKENIZER_FILE, revision=revision)).read_bytes()
        except HFValidationError:
            model, reason = "OWNER/MODEL", "no such folder, nor could a model on the Hub be named so"
        except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
    raise ZooError(
        f"the tokenizer {name} cannot be found",
        got=reason,
        expected=f"a folder with {TOKENIZER_FILE}, or a model on the Hub that is cached or can be downloaded",
        do=f"with network, run `hf download {model} {TOKENIZER_FILE}` once (accept the licence first), or "
        f"set --policy.tokenizer_name=FOLDER; the tiny preset uses --policy.tokenizer_name={BYTE}",
    )
