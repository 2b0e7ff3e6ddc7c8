"""Which robots there are, in which layouts their recordings are found, and which of them a dataset has."""

from lerobot_plugins.contracts import behavior1k, fourier_gr2_layouts, galaxea_layouts, libero
from lerobot_plugins.contracts.fourier_gr2 import FOURIER_GR2
from lerobot_plugins.contracts.galaxea_r1 import GALAXEA_R1, GALAXEA_R1_LITE, GALAXEA_R1_PRO
from lerobot_plugins.contracts.layout import Layout
from lerobot_plugins.contracts.recognition import Features, recognise_among
from lerobot_plugins.contracts.robot import RobotContract
from lerobot_plugins.errors import ZooError

_CONTRACTS = {
    contract.robot_type: contract
    for contract in (
        FOURIER_GR2,
        GALAXEA_R1,
        GALAXEA_R1_LITE,
        GALAXEA_R1_PRO,
        behavior1k.R1_PRO,
        libero.LIBERO_FRANKA,
    )
}
_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    FOURIER_GR2.robot_type: fourier_gr2_layouts.LAYOUTS,
    **galaxea_layouts.LAYOUTS,
    behavior1k.R1_PRO.robot_type: behavior1k.LAYOUTS,
    libero.ROBOT_TYPE: libero.LAYOUTS,
}


def robot_types() -> list[str]:
    """The robots that have a contract."""
    return list(_CONTRACTS)


def contract(robot_type: str) -> RobotContract:
    """The contract of a robot.

    Raises:
        ZooError: There is none of that name.
    """
    if robot_type not in _CONTRACTS:
        raise ZooError("unknown robot", got=robot_type, expected=" or ".join(_CONTRACTS))
    return _CONTRACTS[robot_type]


def layouts(robot_type: str) -> dict[str, Layout]:
    """Name -> layout of a robot's recordings; the first is that of this project's plugin or converter.

    Raises:
        ZooError: Unknown robot.
    """
    return {layout.name: layout for layout in _LAYOUTS[contract(robot_type).robot_type]}


def layout(robot_type: str, name: str) -> Layout:
    """A layout by name.

    Raises:
        ZooError: Unknown robot or layout.
    """
    known = layouts(robot_type)
    if name not in known:
        raise ZooError(f"unknown layout of {robot_type}", got=name, expected=" or ".join(known))
    return known[name]


def recognise(features: Features, robot_type: str | None = None) -> Layout:
    """The layout of a dataset, from the names of its columns, or from their number where they have no names.

    Args:
        features: `features` of the dataset's `meta/info.json`.
        robot_type: The robot, if it is known; all are tried otherwise.

    Returns:
        A known layout; one named `by_name` if the columns are the contract's signals in another order;
        one named `toolkit` for Galaxea's split features.

    Raises:
        ZooError: None fits, or several do, as their names and widths are the same and only units differ; the
            message lists them.
    """
    chosen = robot_types() if robot_type is None else [contract(robot_type).robot_type]
    return recognise_among(
        features,
        [layout for robot in chosen for layout in _LAYOUTS[robot]],
        [_CONTRACTS[robot] for robot in chosen],
    )
