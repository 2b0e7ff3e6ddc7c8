import pickle
from dataclasses import dataclass

import draccus
import pytest
from draccus.utils import DecodingError

from lerobot_plugins.errors import ZooError, first_names


def test_the_message_has_what_got_expected_and_do():
    error = ZooError("the width is wrong", got=7, expected=8, do="run doctor")
    assert str(error).splitlines() == [
        "the width is wrong",
        "  got:      7",
        "  expected: 8",
        "  do:       run doctor",
    ]


def test_what_is_not_known_is_left_out():
    assert str(ZooError("no camera", got=0)) == "no camera\n  got:      0"


def test_it_crosses_process_boundaries():
    error = pickle.loads(pickle.dumps(ZooError("broken", got="a", expected="b", do="c")))
    assert isinstance(error, ZooError)
    assert (error.what, error.got, error.expected, error.do) == ("broken", "a", "b", "c")


def test_the_option_parser_shows_it_whole():
    """draccus drops the text of a ValueError that a config raises."""

    @dataclass
    class Inner:
        width: int = 1

        def __post_init__(self) -> None:
            raise ZooError("the width is wrong", got=self.width, do="widen it")

    @dataclass
    class Outer:
        inner: Inner | None = None

    with pytest.raises(DecodingError, match=r"the width is wrong\n +got: +7\n +do: +widen it"):
        draccus.parse(Outer, args=["--inner.width=7"])


def test_long_lists_of_names_are_counted():
    assert first_names(["c", "a", "b"]) == "a, b, c"
    assert first_names(map(str, range(9)), limit=3) == "0, 1, 2 (+6 more)"
