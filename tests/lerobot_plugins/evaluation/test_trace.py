"""The board between policies and environments."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace


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
