"""What each state and action dimension of a robot is to a planner of waypoints.

Every state dim is written as a number, is a gripper, or is left out by name: nothing is dropped silently.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class RobotDims:
    """Which dims are what.

    Args:
        continuous: State dims that waypoints hold as numbers, in the order of the tokens.
        grippers: State dims that waypoints hold as open or closed.
        thresholds: Per gripper, in raw units: it is open above.
        ignored: State dims that the policy does not see.
        action_grippers: Action dims that command a gripper; they are not normalised.
        convention: How an action commands a gripper, see `processing.grippers`.
    """

    continuous: tuple[int, ...]
    grippers: tuple[int, ...] = ()
    thresholds: tuple[float, ...] = ()
    ignored: tuple[int, ...] = ()
    action_grippers: tuple[int, ...] = ()
    convention: str = "unit"

    @property
    def planned(self) -> tuple[int, ...]:
        """State dims of a waypoint, numbers first."""
        return self.continuous + self.grippers

    def require_fit(self, state_width: int, action_width: int) -> None:
        """Raise unless these dims describe a state and an action of these widths completely."""
        named = self.continuous + self.grippers + self.ignored
        beyond = [dim for dim in named if not 0 <= dim < state_width]
        if beyond:
            raise _wrong(
                "dims that observation.state does not have", beyond, f"dims from 0 to {state_width - 1}"
            )
        twice = sorted({dim for dim in named if named.count(dim) > 1})
        if twice:
            raise _wrong("state dims twice", twice, "each dim in one list")
        missing = sorted(set(range(state_width)) - set(named))
        if missing:
            raise _wrong(
                "not all dims of observation.state",
                f"nothing about {missing}",
                "each dim as continuous, gripper or ignored",
            )
        if not self.continuous:
            raise _wrong("no continuous state dim", "none", "at least one")
        if len(self.thresholds) != len(self.grippers):
            raise _wrong(
                "another number of thresholds than of grippers",
                f"{len(self.thresholds)} for grippers {list(self.grippers)}",
                "one threshold in raw units for each",
            )
        beyond = [dim for dim in self.action_grippers if not 0 <= dim < action_width]
        if beyond or len(set(self.action_grippers)) < len(self.action_grippers):
            raise _wrong(
                "gripper dims that the action does not have, or twice",
                list(self.action_grippers),
                f"different dims from 0 to {action_width - 1}",
            )


# Published settings. The state of LIBERO is hand position, axis-angle and two fingers (one says all); of
# CALVIN position, Euler angles, opening width, seven joints and the last gripper command; of R1 Lite six
# joints and a gripper per arm.
PRESETS = {
    "libero": RobotDims(
        continuous=tuple(range(6)),
        grippers=(6,),
        thresholds=(0.02,),
        ignored=(7,),
        action_grippers=(6,),
        convention="negative_is_open",
    ),
    "calvin": RobotDims(
        continuous=tuple(range(6)),
        grippers=(14,),
        thresholds=(0.0,),
        ignored=tuple(range(6, 14)),
        action_grippers=(6,),
        convention="positive_is_open",
    ),
    "r1_lite": RobotDims(
        continuous=(*range(6), *range(7, 13)),
        grippers=(6, 13),
        thresholds=(50.0, 50.0),
        action_grippers=(6, 13),
        convention="percent",
    ),
}


def free_dims(
    state_width: int,
    continuous: Sequence[int] | None = None,
    grippers: Sequence[int] = (),
    thresholds: Sequence[float] = (),
    ignored: Sequence[int] = (),
    action_grippers: Sequence[int] = (),
    convention: str = "unit",
) -> RobotDims:
    """The dims of a robot without preset; `continuous=None` takes all that are named nowhere else."""
    if continuous is None:
        continuous = [dim for dim in range(state_width) if dim not in grippers and dim not in ignored]
    return RobotDims(
        tuple(continuous),
        tuple(grippers),
        tuple(thresholds),
        tuple(ignored),
        tuple(action_grippers),
        convention,
    )


def _wrong(what: str, got: object, expected: str) -> ZooError:
    return ZooError(
        f"the robot's description names {what}",
        got=got,
        expected=expected,
        do="choose another --policy.robot_preset, or set --policy.continuous_state_dims, gripper_state_dims, "
        "gripper_state_thresholds, ignored_state_dims and gripper_action_dims",
    )
