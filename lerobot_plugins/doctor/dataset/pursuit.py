"""Whether a state goes where its action is, however slowly.

A robot that is held to a rate lags behind its commands and correlates badly with them; but whenever it moves,
it moves towards them. A state that has nothing to do with the action moves towards it half of the time.

T frames, P pairs of action and state.
"""

import numpy as np

#: From here on a state pursues its action; without any relation it is about 0.5.
PURSUES = 0.7
_AHEAD_S = 0.07


class Pursuit:
    """The share of the states' ways that leads towards the actions, by pair.

    Args:
        pairs: How many.
        fps: Frames per second.
    """

    def __init__(self, pairs: int, fps: float) -> None:
        self._ahead = max(1, round(_AHEAD_S * fps))
        self._towards_P = np.zeros(pairs)
        self._way_P = np.zeros(pairs)

    def add(self, action_TP: np.ndarray, state_TP: np.ndarray, floor_P: np.ndarray) -> np.ndarray:
        """Add one episode, and return its own shares, (P,); 1 where the state rests."""
        if len(state_TP) <= self._ahead:
            return np.ones(len(floor_P))
        step_TP = state_TP[self._ahead :] - state_TP[: -self._ahead]
        # Noise goes both ways.
        step_TP = np.where(np.abs(step_TP) > floor_P / 5, step_TP, 0)
        wanted_TP = action_TP[: -self._ahead] - state_TP[: -self._ahead]
        way_P = np.abs(step_TP).sum(0)
        towards_P = np.where(step_TP * wanted_TP > 0, np.abs(step_TP), 0).sum(0)
        self._towards_P += towards_P
        self._way_P += way_P
        return _share(towards_P, way_P)

    def shares(self) -> np.ndarray:
        """Over all episodes, (P,); 1 where the state rests."""
        return _share(self._towards_P, self._way_P)


def _share(towards_P: np.ndarray, way_P: np.ndarray) -> np.ndarray:
    return np.divide(towards_P, way_P, out=np.ones(len(way_P)), where=way_P > 0)
