"""Say where an error lies, layer by layer: shard and episode, then camera and frame, then what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

from lerobot_plugins.errors import ZooError

SKIP_ADVICE = "repair the source, or leave damaged episodes out with --on-error skip"


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put a place before the message of a `ZooError` raised in the block."""
    try:
        yield
    except ZooError as error:
        what = f"{where}: {error.what}"
        raise ZooError(what, got=error.got, expected=error.expected, do=error.do) from error


def advised(error: ZooError, advice: str) -> ZooError:
    """The error with one more thing to do."""
    do = f"{error.do}; {advice}" if error.do else advice
    return ZooError(error.what, got=error.got, expected=error.expected, do=do)
