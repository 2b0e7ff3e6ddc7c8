"""The board between policies and environments."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.waypoints.rule import WaypointRule


@pytest.fixture
def listener():
    trace.start()
    yield
    trace.stop()


def test_nothing_is_kept_without_a_listener():
    trace.publish_chunk(torch.ones(1, 2, 3), [0])
    assert not trace.listening()
    trace.start()
    assert trace.listening()
    assert trace.take(0) is None
    trace.stop()
    assert not trace.listening()


@pytest.mark.usefixtures("listener")
def test_each_row_takes_its_chunk_once_and_decoded():
    chunk_RHA = torch.arange(12, dtype=torch.bfloat16).reshape(2, 2, 3)
    trace.publish_chunk(chunk_RHA, [4, 1])
    chunk_RHA += 100
    trace.publish_decoder(lambda x: x.float() * 2)
    np.testing.assert_array_equal(trace.take(1), 2 * np.arange(6, 12, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(trace.take(4), 2 * np.arange(6, dtype=np.float32).reshape(2, 3))
    assert trace.take(1) is None
    assert trace.take(0) is None


@pytest.mark.usefixtures("listener")
def test_a_discarded_chunk_is_gone_and_the_latest_one_counts():
    trace.publish_decoder(lambda x: x)
    trace.publish_chunk(torch.zeros(1, 1, 1), [0])
    trace.discard(0)
    trace.discard(7)
    assert trace.take(0) is None
    for value in (1.0, 2.0):
        trace.publish_chunk(torch.full((1, 1, 1), value), [0])
    assert trace.take(0) == 2


@pytest.mark.usefixtures("listener")
def test_chunks_of_inference_mode_can_be_taken_outside_it():
    with torch.inference_mode():
        trace.publish_chunk(torch.ones(1, 2, 2), [0])
    trace.publish_decoder(lambda x: x.mul_(3))
    assert (trace.take(0) == 3).all()


@pytest.mark.usefixtures("listener")
def test_a_chunk_without_decoder_and_a_wrong_number_of_rows_are_errors():
    trace.publish_chunk(torch.ones(1, 2, 2), [0])
    with pytest.raises(ZooError, match="no processor step published its decoder"):
        trace.take(0)
    with pytest.raises(ZooError, match="does not fit its rows"):
        trace.publish_chunk(torch.ones(2, 2, 2), [0])


@pytest.mark.usefixtures("listener")
def test_chunks_are_as_long_as_they_mean_something():
    trace.publish_decoder(lambda x: x)
    trace.publish_chunk(torch.arange(8.0).reshape(2, 4, 1), [3, 0], lengths=[1, 4])
    assert trace.take(3).tolist() == [[0]]
    assert trace.take(0).ravel().tolist() == [4, 5, 6, 7]
    for lengths in ([4], [4, 5], [0, 4]):
        with pytest.raises(ZooError, match=r"lengths of published(.|\n)*2 lengths from 1 to 4"):
            trace.publish_chunk(torch.zeros(2, 4, 1), [3, 0], lengths=lengths)


def a_plan(duration=(3, 0), dims=(0, 1), slots=2):
    rule = WaypointRule(arms=((0,),), threshold=0.1)
    return trace.Plan(np.zeros((slots, 3), np.float32), np.array(duration), dims, (2,), rule)


@pytest.mark.parametrize("wrong", [{"duration": (3, 4, 5)}, {"duration": (3, -1)}, {"dims": (0, 3)}])
def test_a_plan_that_does_not_fit_together_is_an_error(wrong):
    with pytest.raises(ZooError, match="plan does not fit together"):
        a_plan(**wrong)


@pytest.mark.usefixtures("listener")
def test_each_plan_has_its_row():
    with pytest.raises(ZooError, match="1 plans for 2 rows"):
        trace.publish_plan([a_plan()], [0, 1])


def test_the_board_is_cleared_when_the_last_listener_leaves():
    trace.start()
    trace.start()
    trace.publish_decoder(lambda x: x)
    trace.publish_chunk(torch.ones(1, 1, 1), [0])
    trace.stop()
    assert trace.listening()
    trace.stop()
    trace.start()
    assert trace.take(0) is None
    trace.stop()


def test_importing_the_trace_brings_no_plotting_and_no_lerobot():
    code = (
        "import sys, lerobot_plugins.evaluation.trace; "
        "assert not {'matplotlib', 'lerobot', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
