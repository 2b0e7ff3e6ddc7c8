import numpy as np
import pytest

from lerobot_plugins.errors import ZooError
from lerobot_plugins.serving.observations import ObservationMap

FEATURES = {"observation.images.image": (3, 64, 64), "observation.state": (4,)}
PICTURES = frozenset({"observation.images.image"})
PICTURE = np.full((8, 9, 3), 255, np.uint8)


def sent(**changes):
    return {"observation/image": PICTURE, "observation/state": np.zeros(4), "prompt": "go"} | changes


@pytest.mark.parametrize(
    "message",
    [
        sent(),
        {"images": {"image": PICTURE}, "state": [0, 0, 0, 0], "prompt": "go"},
        {"observation.images.image": PICTURE, "observation.state": np.zeros(4), "task": "go", "more": 1},
        sent(**{"observation/image": np.full((8, 9, 4), 255, np.uint8)}),
    ],
)
def test_clients_ways_to_say_the_same(message):
    batch = ObservationMap(FEATURES, PICTURES).batch(message)
    assert batch["observation.images.image"].shape == (1, 3, 8, 9)
    assert batch["observation.images.image"].max() == 1
    assert batch["observation.state"].shape == (1, 4)
    assert batch["task"] == ["go"]


def test_a_given_key_takes_the_place_of_the_usual_ones():
    chosen = ObservationMap(FEATURES, PICTURES, {"cam::rgb": "observation.images.image"}, prompt="go")
    message = {"cam::rgb": PICTURE, "state": np.zeros(4)}
    assert chosen.batch(message)["task"] == ["go"]
    with pytest.raises(ZooError, match=r"no observation\.images\.image"):
        chosen.batch(sent())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"observation/image": PICTURE.astype(np.float32)}, "float32"),
        ({"observation/image": PICTURE.transpose(2, 0, 1)}, "no picture"),
        ({"observation/state": np.zeros(5)}, r"\(4,\)"),
        ({"observation/state": np.full(4, np.nan)}, "finite"),
        ({"observation/state": "text"}, "numbers"),
        ({"state": np.zeros(4)}, "more than one"),
        ({"prompt": 3}, "no task"),
    ],
)
def test_wrong_parts_are_named(changes, said):
    with pytest.raises(ZooError, match=said):
        ObservationMap(FEATURES, PICTURES).batch(sent(**changes))


def test_a_missing_part_names_what_came_and_what_was_expected():
    with pytest.raises(ZooError, match=r"got: +pixels(.|\n)*observation/image"):
        ObservationMap(FEATURES, PICTURES).batch({"pixels": PICTURE})


def test_mapping_to_an_unknown_input_is_refused():
    with pytest.raises(ZooError, match="no input"):
        ObservationMap(FEATURES, PICTURES, {"a": "observation.other"})
