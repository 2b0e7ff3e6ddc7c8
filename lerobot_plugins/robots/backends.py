"""Which backends a robot has, and making the one that was chosen.

Modules are imported when their backend is made, so that a robot registers itself without a simulator or
an SDK.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from lerobot_plugins.contracts.robot import Camera, RobotContract
from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.robots.backend import Backend

if TYPE_CHECKING:
    from lerobot_plugins.robots.config import ZooRobotConfig


@dataclass(frozen=True)
class BackendSource:
    """Where a backend's class lies.

    Args:
        module: Its module.
        name: The class, made by `(contract, config)`.
        extra: The extra of this distribution that installs what it imports; None if nothing is missing.
    """

    module: str
    name: str
    extra: str | None = None


SHARED_BACKENDS: Mapping[str, BackendSource] = {
    "sim": BackendSource("lerobot_plugins.robots.simulation.backend", "SimulationBackend", extra="sim"),
    "replay": BackendSource("lerobot_plugins.robots.replay", "ReplayBackend"),
}


def make_backend(config: "ZooRobotConfig", contract: RobotContract) -> Backend:
    """The backend that `config.backend` names, not yet connected.

    Raises:
        ZooError: What it imports is not installed.
    """
    source = config.backends[config.backend]
    try:
        made = getattr(import_module(source.module), source.name)(contract, config)
    except ModuleNotFoundError as error:
        raise missing_module(error, source) from error
    return cast("Backend", made)


def missing_module(error: ModuleNotFoundError, source: BackendSource) -> ZooError:
    """What to say when a backend's import fails, in its module or in its `connect`."""
    install = f"pip install 'lerobot_policy_zoo[{source.extra}]'" if source.extra else None
    return ZooError(
        "a package that this backend needs is not installed",
        got=f"no module named {error.name}",
        expected=f"what {source.module} imports",
        do=install,
    )


def own_cameras(backend: Backend, config: "ZooRobotConfig", contract: RobotContract) -> list[Camera]:
    """The cameras whose pictures come from the backend.

    Their sizes are those of the backend's `cameras` where it has that (a recording does), otherwise the
    contract's with `sim_height` and `sim_width`.

    Raises:
        ZooError: `backend_cameras` names one that the robot does not have.
    """
    recorded: Iterable[Camera] | None = getattr(backend, "cameras", None)
    own = (
        recorded
        if recorded is not None
        else [
            replace(camera, height=config.sim_height or camera.height, width=config.sim_width or camera.width)
            for camera in contract.cameras
        ]
    )
    known = {camera.name: replace(camera, depth=camera.depth and config.use_depth) for camera in own}
    chosen = config.backend_cameras
    if chosen is None:
        chosen = [name for name in known if config.has_pictures and name not in config.cameras]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ZooError(
            f"robot.backend_cameras names cameras that {contract.robot_type} does not show",
            got=first_names(unknown),
            expected=first_names(known) or "none",
            do="correct --robot.backend_cameras",
        )
    return [known[name] for name in chosen]
