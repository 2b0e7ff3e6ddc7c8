"""How well each number of the action foretells each number of the state, over all episodes and short delays.

A robot follows its commands: shortly after the action, the state of the same joint has its value. So the
distance between an action and a state `delay` frames later tells which columns belong together.

T frames, P pairs of action and state, L delays, W wide delays.
"""

from dataclasses import dataclass

import numpy as np

from lerobot_plugins.doctor.dataset.dimensions import Dimension, columns_of
from lerobot_plugins.doctor.dataset.pursuit import Pursuit
from lerobot_plugins.doctor.dataset.recorded import EpisodeData

NEAR_S = 0.4  # a robot answers within that
WIDE_S = 1.5  # how far off a recording's clock is looked for
#: Below these an action does not move: radians (metres); a part of the usual range where units are unknown.
STILL, STILL_OF_RANGE = 0.03, 0.03


@dataclass
class Sums:
    """Sums over frames from which distances and correlations follow, for each delay."""

    frames: np.ndarray
    action: np.ndarray
    state: np.ndarray
    action_squared: np.ndarray
    state_squared: np.ndarray
    product: np.ndarray


class Agreement:
    """Compares actions with states.

    Args:
        pairs: Action and state dimensions that measure the same.
        fps: Frames per second.
    """

    def __init__(self, pairs: list[tuple[Dimension, Dimension]], fps: float) -> None:
        self.actions = [action for action, _ in pairs]
        self.states = [state for _, state in pairs]
        self.delays_L = np.arange(-1, max(2, round(NEAR_S * fps)) + 1)
        reach = max(4, round(WIDE_S * fps))
        self.wide_W = np.arange(-reach, reach + 1, max(1, reach // 30))
        count = len(pairs)
        self._near = _zeros(len(self.delays_L), count, count)
        self._wide = _zeros(len(self.wide_W), count)
        self.low_P = np.full(count, np.inf)
        self.high_P = np.full(count, -np.inf)
        self._pursuit = Pursuit(count, fps)
        #: Episode -> of its moving actions, the median correlation with their states at the best delay, and
        #: the median share of the states' ways that leads towards them.
        self.episodes: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self.actions)

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        action_TP = columns_of(episode.columns, self.actions)
        state_TP = columns_of(episode.columns, self.states)
        if not action_TP.size:
            return
        self.low_P = np.minimum(self.low_P, action_TP.min(0))
        self.high_P = np.maximum(self.high_P, action_TP.max(0))
        own_LP = np.full((len(self.delays_L), len(self)), np.nan)
        for i, delay in enumerate(self.delays_L.tolist()):
            a, s = _delayed(action_TP, state_TP, delay)
            if len(a) > 1:
                _add(self._near, i, a, s, a.T @ s)
                own_LP[i] = _correlation(a, s)
        for i, delay in enumerate(self.wide_W.tolist()):
            a, s = _delayed(action_TP, state_TP, delay)
            if len(a) > 1:
                _add(self._wide, i, a, s, (a * s).sum(0))
        # An object may stop fingers and grippers.
        free_P = np.array(
            [not action.group.endswith(("hand", "gripper")) for action in self.actions], dtype=bool
        )
        moving_P = (action_TP.std(0) > self.floor) & free_P
        pursued_P = self._pursuit.add(action_TP, state_TP, self.floor)
        if moving_P.sum() >= 3 and np.isfinite(own_LP).any():
            correlation = float(np.nanmax(np.nanmedian(own_LP[:, moving_P], axis=1)))
            self.episodes[episode.index] = (correlation, float(np.median(pursued_P[moving_P])))

    @property
    def floor(self) -> np.ndarray:
        """Distances below this are none, (P,)."""
        span_P = np.where(self.high_P >= self.low_P, self.high_P - self.low_P, 0)
        # Not the largest: one gripper in 0 to 100 must not hide joints in radians.
        unknown = STILL_OF_RANGE * (np.quantile(span_P, 0.75) if len(span_P) else 0.0)
        return np.array([STILL if action.signal else unknown for action in self.actions])

    @property
    def pursuit(self) -> np.ndarray:
        """The share of the states' ways that leads towards their actions, (P,)."""
        return self._pursuit.shares()

    @property
    def moving(self) -> np.ndarray:
        """Whether each action moves at all, (P,)."""
        return self.spread > self.floor

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each action, (P,)."""
        i = int(np.flatnonzero(self.delays_L == 0)[0])
        frames = max(self._near.frames[i], 1)
        mean_P = self._near.action[i] / frames
        return np.sqrt(np.maximum(self._near.action_squared[i] / frames - mean_P**2, 0))

    @property
    def distance(self) -> np.ndarray:
        """Root mean square of action p minus state q at the best delay for each, (P, P)."""
        sums = self._near
        squares_LPP = sums.action_squared[:, :, None] + sums.state_squared[:, None, :] - 2 * sums.product
        return _root_of_best(squares_LPP, sums.frames)

    @property
    def reversed_distance(self) -> np.ndarray:
        """Root mean square of actions minus their reversed states (-x; of a gripper 1 - x), (P,)."""
        sums, own = self._near, np.arange(len(self))
        product_LP = sums.product[:, own, own]
        opening_P = np.array([action.unit == "unit" for action in self.actions], dtype=bool)
        squares_LP = sums.action_squared + sums.state_squared + 2 * product_LP
        shifted_LP = squares_LP - 2 * (sums.action + sums.state) + sums.frames[:, None]
        return _root_of_best(np.where(opening_P, shifted_LP, squares_LP), sums.frames)

    @property
    def correlation(self) -> np.ndarray:
        """Correlation of actions with their states at the best short delay, 0 where one rests, (P,)."""
        own = np.arange(len(self))
        return _correlations(self._near, self._near.product[:, own, own]).max(0, initial=-1)

    @property
    def slope(self) -> np.ndarray:
        """How much states change when actions change by 1, without delay, 0 where they rest, (P,)."""
        i = int(np.flatnonzero(self.delays_L == 0)[0])
        sums, own = self._near, np.arange(len(self))
        n = max(sums.frames[i], 1)
        covariance_P = sums.product[i, own, own] / n - sums.action[i] * sums.state[i] / n**2
        variance_P = self.spread**2
        return np.divide(covariance_P, variance_P, out=np.zeros(len(self)), where=variance_P > 0)

    @property
    def wide_correlation(self) -> np.ndarray:
        """Correlation of actions with their states at each wide delay, (W, P)."""
        return _correlations(self._wide, self._wide.product)


def _zeros(delays: int, *shape: int) -> Sums:
    count = shape[0]
    action, state, action_squared, state_squared = (np.zeros((delays, count)) for _ in range(4))
    return Sums(np.zeros(delays), action, state, action_squared, state_squared, np.zeros((delays, *shape)))


def _delayed(action_TP: np.ndarray, state_TP: np.ndarray, delay: int) -> tuple[np.ndarray, np.ndarray]:
    """Actions, and the states that are `delay` frames later."""
    length = len(action_TP) - abs(delay)
    if length <= 0:
        return action_TP[:0], state_TP[:0]
    if delay >= 0:
        return action_TP[:length], state_TP[delay:]
    return action_TP[-delay:], state_TP[:length]


def _add(sums: Sums, i: int, a: np.ndarray, s: np.ndarray, product: np.ndarray) -> None:
    sums.frames[i] += len(a)
    sums.action[i] += a.sum(0)
    sums.state[i] += s.sum(0)
    sums.action_squared[i] += np.square(a).sum(0)
    sums.state_squared[i] += np.square(s).sum(0)
    sums.product[i] += product


def _root_of_best(squares: np.ndarray, frames_L: np.ndarray) -> np.ndarray:
    seen = frames_L > 0
    if not seen.any():
        return np.zeros(squares.shape[1:])
    shape = (-1,) + (1,) * (squares.ndim - 1)
    return np.sqrt(np.maximum((squares[seen] / frames_L[seen].reshape(shape)).min(0), 0))


def _correlations(sums: Sums, product: np.ndarray) -> np.ndarray:
    n = np.maximum(sums.frames, 1)[:, None]
    covariance = product / n - sums.action * sums.state / n**2
    a = sums.action_squared / n - (sums.action / n) ** 2
    s = sums.state_squared / n - (sums.state / n) ** 2
    scale = np.sqrt(np.maximum(a, 0) * np.maximum(s, 0))
    # What rests has rounding for a variance.
    rests = (a <= 1e-10 * (1 + sums.action_squared / n)) | (s <= 1e-10 * (1 + sums.state_squared / n))
    return np.where(rests, 0.0, covariance / np.where(rests | (scale == 0), 1.0, scale))


def _correlation(a: np.ndarray, s: np.ndarray) -> np.ndarray:
    a, s = a - a.mean(0), s - s.mean(0)
    scale = np.sqrt(np.square(a).sum(0) * np.square(s).sum(0))
    return np.divide((a * s).sum(0), scale, out=np.zeros(a.shape[1]), where=scale > 1e-12)
