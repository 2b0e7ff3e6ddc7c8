"""Installed versions against the ranges that our own and LeRobot's metadata declare: no second list."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lerobot_plugins.doctor.finding import OK, PROBLEM, Finding

DISTRIBUTION = "lerobot_policy_zoo"
HOST = "lerobot"


def check_python() -> Finding:
    """The interpreter against both distributions' `Requires-Python`."""
    texts = [metadata(name)["Requires-Python"] for name in (DISTRIBUTION, HOST)]
    return _compare("python", platform.python_version(), SpecifierSet(",".join(filter(None, texts))))


def check_package(name: str) -> Finding:
    """One package against the intersection of all ranges that apply here."""
    supported = supported_range(name)
    try:
        return _compare(name, version(name), supported)
    except PackageNotFoundError:
        return Finding(name, PROBLEM, f"not installed (supported: {supported})", _install(name, supported))


def supported_range(name: str) -> SpecifierSet:
    """What our distribution and LeRobot, with the extras we ask it for, accept of a package."""
    accepted = SpecifierSet()
    for requirement in _requirements():
        if canonicalize_name(requirement.name) == canonicalize_name(name):
            accepted &= requirement.specifier
    return accepted


def _requirements() -> Iterator[Requirement]:
    """The requirements that hold on this machine; LeRobot's extras refer to each other and are followed."""
    pending, seen = [(DISTRIBUTION, "")], set()
    while pending:
        distribution, extra = pending.pop()
        if (distribution, extra) in seen:
            continue
        seen.add((distribution, extra))
        for requirement in map(Requirement, requires(distribution) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield requirement
                if canonicalize_name(requirement.name) == HOST:
                    pending += [(HOST, inner) for inner in ("", *requirement.extras)]


def _compare(name: str, installed: str, supported: SpecifierSet) -> Finding:
    if supported.contains(installed, prereleases=True):
        return Finding(name, OK, f"{installed} (supported: {supported})")
    detail = f"{installed} is outside the supported range {supported}"
    return Finding(name, PROBLEM, detail, _install(name, supported))


def _install(name: str, supported: SpecifierSet) -> str:
    if name == "python":
        return f"make an environment with python{supported}"
    return f"pip install '{name}{supported}'"
