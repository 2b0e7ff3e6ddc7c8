"""Which plugins exist, and the loading of those that LeRobot must know at start-up.

LeRobot imports one module per distribution and knows no entry points. The door package
(`lerobot_policy_zoo`) is that module; it calls `load_host_plugins`, which imports every entry point of
the groups in `HOST_GROUPS`. Each imported package registers itself with LeRobot. A package that cannot
be imported costs one line in the log and hides no other.
"""

import logging
import os
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

logger = logging.getLogger(__name__)

# kind -> entry-point group. The first five register themselves with LeRobot when imported.
HOST_GROUPS = {
    "policy": "lerobot_plugins.policies",
    "robot": "lerobot_plugins.robots",
    "teleoperator": "lerobot_plugins.teleoperators",
    "camera": "lerobot_plugins.cameras",
    "env": "lerobot_plugins.envs",
}
# These load when a command needs them.
COMMAND_GROUPS = {"dataset": "lerobot_plugins.datasets", "command": "lerobot_plugins.commands"}
GROUPS = HOST_GROUPS | COMMAND_GROUPS

LOADED, BROKEN, DISABLED, NOT_LOADED = "loaded", "broken", "disabled", "not loaded"
DISABLE_VARIABLE = "LEROBOT_PLUGINS_DISABLE"


@dataclass
class Plugin:
    """One entry point: what it is called, where it comes from, how loading it went."""

    name: str
    kind: str
    distribution: str
    version: str
    module: str
    state: str = NOT_LOADED
    cause: str | None = None
    loaded: ModuleType | None = None


_found: dict[str, list[Plugin]] = {}


def find_plugins(kind: str) -> list[Plugin]:
    """All plugins of one kind, sorted by name; the list and its states live as long as the process."""
    if kind not in _found:
        # An editable install can list the same distribution twice: one entry per (name, module).
        unique = {(point.name, point.value): point for point in entry_points(group=GROUPS[kind])}
        _found[kind] = [_describe(kind, unique[key]) for key in sorted(unique)]
    return _found[kind]


def _describe(kind: str, point: EntryPoint) -> Plugin:
    distribution = point.dist
    return Plugin(
        name=point.name,
        kind=kind,
        distribution=distribution.name if distribution else "unknown",
        version=distribution.version if distribution else "unknown",
        module=point.value,
    )


def load(plugin: Plugin) -> Plugin:
    """Import one plugin's package and record the outcome in the plugin; never raises.

    `SystemExit` is caught as well: LeRobot lets it pass, so one module that exits at import would end
    every command of every user.
    """
    if plugin.state != NOT_LOADED:
        return plugin
    if plugin.name in os.environ.get(DISABLE_VARIABLE, "").split(","):
        plugin.state, plugin.cause = DISABLED, f"named in {DISABLE_VARIABLE}"
        return plugin
    try:
        plugin.loaded = EntryPoint(plugin.name, plugin.module, GROUPS[plugin.kind]).load()
        plugin.state = LOADED
    except (Exception, SystemExit) as error:
        plugin.state = BROKEN
        plugin.cause = f"{type(error).__name__}: {error}".splitlines()[0]
        logger.error(
            "%s plugin '%s' of %s %s is broken and was skipped: %s (run `lerobot-plugins doctor`)",
            plugin.kind,
            plugin.name,
            plugin.distribution,
            plugin.version,
            plugin.cause,
        )
    return plugin


def load_kind(kind: str) -> list[Plugin]:
    """Load all plugins of one kind and return them with their states."""
    return [load(plugin) for plugin in find_plugins(kind)]


def load_host_plugins() -> list[Plugin]:
    """Load every plugin that registers itself with LeRobot."""
    return [plugin for kind in HOST_GROUPS for plugin in load_kind(kind)]


def list_plugins() -> list[Plugin]:
    """Load and list the plugins of every kind."""
    return [plugin for kind in GROUPS for plugin in load_kind(kind)]
