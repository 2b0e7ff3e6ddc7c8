"""One client's policy: the weights are shared, everything that an episode leaves behind is its own.

Legend: H chunk length, A action dims.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors

from lerobot_plugins.evaluation import trace
from lerobot_plugins.serving.observations import ObservationMap


class Session:
    """A policy with its processors, and the state of one episode.

    Args:
        policy: In evaluation mode.
        before: Raw batch -> what the policy takes.
        after: Normalised actions -> real ones.
        observations: What clients call the inputs.

    Attributes:
        subtask: The text that the latest answer follows, of a policy that writes subtasks.
    """

    def __init__(self, policy: Any, before: Any, after: Any, observations: ObservationMap) -> None:
        self.policy, self.before, self.after, self.observations = policy, before, after, observations
        self.subtask: str | None = None

    def spawn(self) -> "Session":
        """A session at the start of an episode.

        A policy may keep its state anywhere (queues, memories, counters, buffers), so all of it is copied,
        except the parameters. The processors are copied with it: their steps may refer to each other.
        """
        shared = {id(parameter): parameter for parameter in self.policy.parameters()}
        policy, before, after = copy.deepcopy((self.policy, self.before, self.after), shared)
        session = Session(policy, before, after, self.observations)
        session.reset()
        return session

    def reset(self) -> None:
        """Forget the episode."""
        self.subtask = None
        self.policy.reset()
        self.before.reset()
        self.after.reset()

    @torch.no_grad()
    def chunk(self, message: Any) -> np.ndarray:
        """A newly predicted chunk, (H, A) float32, in the dataset's units."""
        with self._watched():
            chunk_1HA = self.policy.predict_action_chunk(self.before(self.observations.batch(message)))
        # Action by action, as LeRobot's own server: steps after the policy are written for (1, A).
        actions = [self.after(action_1A)[0] for action_1A in chunk_1HA.unbind(1)]
        return torch.stack(actions).float().cpu().numpy()

    @torch.no_grad()
    def action(self, message: Any) -> np.ndarray:
        """The next action of the policy's own queue, (A,) float32, in the dataset's units."""
        with self._watched():
            action_1A = self.policy.select_action(self.before(self.observations.batch(message)))
        return self.after(action_1A)[0].float().cpu().numpy()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """One client computes at a time, so what is announced meanwhile is this one's."""
        trace.start()
        try:
            yield
            written = trace.take_subtask(0)
            self.subtask = self.subtask if written is None else written
        finally:
            trace.stop()


def load_session(path: str, overrides: list[str], describe: Callable[[Any], ObservationMap]) -> Session:
    """The policy of a checkpoint folder or hub id, ready to act.

    Args:
        overrides: Fields of its configuration, as `--device=cpu`.
        describe: Configuration -> what clients call its inputs.
    """
    config = PreTrainedConfig.from_pretrained(path, cli_overrides=overrides)
    config.pretrained_path = Path(path)
    observations = describe(config)
    policy: Any = get_policy_class(config.type).from_pretrained(path, config=config)
    device = {"device_processor": {"device": str(config.device)}}
    before, after = make_pre_post_processors(config, pretrained_path=path, preprocessor_overrides=device)
    return Session(policy.to(config.device).eval(), before, after, observations)
