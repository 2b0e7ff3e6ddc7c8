"""All checks of the machine, in the order in which they are read."""

import importlib
from collections.abc import Callable

from lerobot_plugins.doctor.finding import PROBLEM, Finding

Check = Callable[[], Finding]

PACKAGES = ("lerobot", "torch", "transformers", "numpy", "av", "torchcodec")


def all_checks(online: bool = False) -> dict[str, Check]:
    """Name -> check. `online` lets those about tokenizer and weights ask the Hub."""
    return {
        "python": _check("versions", "check_python"),
        **{name: _check("versions", "check_package", name) for name in PACKAGES},
        "discovery": _check("discovery", "check_discovery"),
        "plugins": _check("plugins", "check_plugins"),
        "names": _check("plugins", "check_names"),
        "video": _check("machine", "check_video"),
        "gpu": _check("machine", "check_gpu"),
        "disk": _check("machine", "check_disk"),
        "tokenizer": _check("weights", "check_tokenizer", online),
        "weights": _check("weights", "check_weights", online),
    }


def run_checks(online: bool = False) -> list[Finding]:
    """Run every check; one that fails is a finding itself and stops no other."""
    return [_guarded(name, check) for name, check in all_checks(online).items()]


def _check(module: str, function: str, *arguments: object) -> Check:
    """A check whose module is imported when it runs, so that a package it lacks is that check's finding."""

    def run() -> Finding:
        return getattr(importlib.import_module(f"lerobot_plugins.doctor.{module}"), function)(*arguments)

    return run


def _guarded(name: str, check: Check) -> Finding:
    try:
        return check()
    # A half-broken installation fails in any way, `SystemExit` at import included.
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        do = "mend what is named above; if nothing is, install lerobot_policy_zoo again"
        return Finding(name, PROBLEM, f"could not be checked: {cause}", do)
