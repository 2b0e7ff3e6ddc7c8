"""All checks of the machine, in the order in which they are read."""

from collections.abc import Callable
from functools import partial

from lerobot_plugins.doctor import discovery, machine, plugins, versions, weights
from lerobot_plugins.doctor.finding import PROBLEM, Finding

Check = Callable[[], Finding]


def all_checks(online: bool = False) -> dict[str, Check]:
    """Name -> check. `online` lets the one about weights ask the Hub."""
    return {
        "python": versions.check_python,
        **{name: partial(versions.check_package, name) for name in versions.PACKAGES},
        "discovery": discovery.check_discovery,
        "plugins": plugins.check_plugins,
        "names": plugins.check_names,
        "video": machine.check_video,
        "gpu": machine.check_gpu,
        "disk": machine.check_disk,
        "tokenizer": partial(weights.check_tokenizer, online),
        "weights": partial(weights.check_weights, online),
    }


def run_checks(online: bool = False) -> list[Finding]:
    """Run every check; one that fails is a finding itself and stops no other."""
    return [_guarded(name, check) for name, check in all_checks(online).items()]


def _guarded(name: str, check: Check) -> Finding:
    try:
        return check()
    # A half-broken installation fails in any way, `SystemExit` at import included.
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(name, PROBLEM, f"could not be checked: {cause}", "mend the findings above first")
