"""Every seeded fault of states and actions is found and named, and nothing else is said."""

import pytest
from number_faults import FAULTS
from said import assert_said

from lerobot_plugins.doctor.dataset.examination import examine_numbers


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_named_and_nothing_else(name):
    fault = FAULTS[name]
    spoiled = fault.seed(fault.recording())
    assert_said(examine_numbers(spoiled.description(), spoiled.data()), fault.told)
