"""Contract tests run over every policy type of this distribution, each built tiny (`tiny_policies.TINY`)."""

from pathlib import Path
from typing import Any

import pytest
from tiny_policies import observation_batch, policy_types, processors, tiny_policy, training_batch


@pytest.fixture(scope="session", params=policy_types())
def policy_type(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def shared(policy_type: str) -> Any:
    """A policy that tests may call but not change."""
    return tiny_policy(policy_type)


@pytest.fixture
def policy(policy_type: str) -> Any:
    """A policy of the test's own."""
    return tiny_policy(policy_type)


@pytest.fixture(scope="session")
def batch(shared: Any) -> dict[str, Any]:
    """A preprocessed training batch of three rows; the last ends in padding."""
    return training_batch(shared.config)


@pytest.fixture(scope="session")
def observation(shared: Any) -> dict[str, Any]:
    return observation_batch(shared.config)


@pytest.fixture(scope="session")
def checkpoint(shared: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, config and both pipelines of the shared policy, as LeRobot saves them."""
    folder = tmp_path_factory.mktemp("checkpoint")
    shared.save_pretrained(folder)
    for pipeline in processors(shared.config):
        pipeline.save_pretrained(folder)
    return folder
