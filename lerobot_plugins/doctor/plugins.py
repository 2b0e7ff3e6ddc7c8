"""The plugins: which are broken, and whose names collide."""

from collections import defaultdict
from collections.abc import Mapping

from lerobot_plugins import registry
from lerobot_plugins.doctor.finding import OK, PROBLEM, Finding


def check_plugins() -> Finding:
    """Every plugin imports."""
    plugins = registry.list_plugins()
    broken = [plugin for plugin in plugins if plugin.state == registry.BROKEN]
    if not broken:
        return Finding("plugins", OK, f"{len(plugins)} found, none broken")
    causes = "; ".join(f"{plugin.kind} {plugin.name}: {plugin.cause}" for plugin in broken)
    distributions = " ".join(sorted({plugin.distribution for plugin in broken}))
    do = (
        f"mend or reinstall {distributions}, or leave them out with "
        f"{registry.DISABLE_VARIABLE}={','.join(plugin.name for plugin in broken)}"
    )
    return Finding("plugins", PROBLEM, causes, do)


def check_names() -> Finding:
    """No plugin carries the name of a type that LeRobot itself has, nor that of another plugin."""
    clashes = []
    for kind in registry.HOST_GROUPS:
        owners = defaultdict(list)
        for plugin in registry.load_kind(kind):
            owners[plugin.name].append(f"{plugin.module} of {plugin.distribution}")
        stock = {name for name, module in known_types(kind).items() if module.split(".")[0] == "lerobot"}
        for name, places in owners.items():
            if name in stock:
                clashes.append(f"{kind} {name} ({', '.join(places)}) is a type of LeRobot's own")
            elif len(places) > 1:
                clashes.append(f"{kind} {name} is claimed by {' and '.join(places)}")
    if not clashes:
        return Finding("names", OK, "no plugin claims a name that is taken")
    do = "uninstall one of the two, or ask its author for another name"
    return Finding("names", PROBLEM, "; ".join(clashes), do)


def known_types(kind: str) -> Mapping[str, str]:
    """What LeRobot's registry of a kind holds now: name -> module of its config class.

    Complete for policies and environments. Stock robots, teleoperators and cameras register only when a
    command imports them.
    """
    # Imported late: whether plugins are broken must come out even where these cannot be imported.
    import lerobot.policies  # noqa: F401  registers the stock policies
    from lerobot.cameras import CameraConfig
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.envs.configs import EnvConfig
    from lerobot.robots import RobotConfig
    from lerobot.teleoperators import TeleoperatorConfig

    classes = {
        "policy": PreTrainedConfig,
        "robot": RobotConfig,
        "teleoperator": TeleoperatorConfig,
        "camera": CameraConfig,
        "env": EnvConfig,
    }
    return {name: choice.__module__ for name, choice in classes[kind].get_known_choices().items()}
