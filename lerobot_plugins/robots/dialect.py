"""A robot that speaks the layout of some dataset: other columns, another order, other units.

A policy that was trained on such a dataset sees and commands vectors; `lerobot-rollout` builds them in the
robot's own order. So the robot itself must have the dataset's order and units.
"""

from collections.abc import Mapping
from typing import Any

from lerobot_plugins.contracts import catalog
from lerobot_plugins.contracts.joints import bare
from lerobot_plugins.contracts.layout import Column, Kind
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.limits import close_names
from lerobot_plugins.robots.numbers import as_number


class Dialect:
    """Keys and units of observations and actions, to and from the contract's signals.

    The key of a column is its signal's name. Where the unit is not the contract's, the key says so
    (`left_gripper_raw.pos`), so that what is recorded with it is not taken for the contract's.

    Args:
        contract: The robot.
        layout: Name of one of its layouts; None for the contract's own order and units.

    Raises:
        ZooError: An unknown layout, or one with columns that the robot does not have.
    """

    def __init__(self, contract: RobotContract, layout: str | None = None) -> None:
        self._robot_type = contract.robot_type
        self._columns: dict[Kind, dict[str, Column]] = {"state": {}, "action": {}}
        kinds: tuple[tuple[Kind, list[str]], ...] = (
            ("state", contract.state_names),
            ("action", contract.action_names),
        )
        chosen = None if layout is None else catalog.layout(contract.robot_type, layout)
        for kind, signals in kinds:
            columns = [Column(name, name) for name in signals] if chosen is None else chosen.columns(kind)
            foreign = [column.name for column in columns if column.signal not in signals]
            if foreign:
                raise ZooError(
                    f"{self._robot_type} cannot speak the layout {layout}",
                    got=f"its {kind} has {first_names(foreign)}, which the robot has not",
                    expected="columns that the robot measures and obeys",
                    do="leave --robot.layout out and train on data of the robot's own layout",
                )
            self._columns[kind] = {_key(column): column for column in columns}

    def keys(self, kind: Kind) -> list[str]:
        """The keys of an observation's scalars or of an action, in order."""
        return list(self._columns[kind])

    def spoken(self, kind: Kind, signals: Mapping[str, float]) -> dict[str, float]:
        """Key -> number from signal -> value."""
        return {
            key: (float(signals[column.signal]) - column.offset) / column.scale
            for key, column in self._columns[kind].items()
        }

    def understood(self, action: Mapping[str, Any]) -> dict[str, float]:
        """Signal -> value from an action, whole or in part; keys of observations are dropped.

        Raises:
            ZooError: An unknown key, or no finite number.
        """
        actions, states = self._columns["action"], self._columns["state"]
        signals = {}
        for key, value in action.items():
            if key in actions:
                column = actions[key]
                signals[column.signal] = column.scale * as_number(value, key) + column.offset
            elif key not in states:
                raise ZooError(
                    f"{self._robot_type} has no signal of this name",
                    got=key,
                    expected=close_names(key, actions),
                    do="map the policy's or dataset's names to the robot's",
                )
        return signals


def _key(column: Column) -> str:
    if (column.scale, column.offset) == (1.0, 0.0):
        return column.signal
    return f"{bare(column.signal)}_raw{column.signal[-4:]}"
