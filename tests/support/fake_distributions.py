"""Distributions made of a few files, found by `importlib.metadata` as installed ones are."""

from collections.abc import Mapping
from pathlib import Path


def install(
    site: Path,
    name: str,
    version: str = "1.0",
    entry_points: Mapping[str, Mapping[str, str]] | None = None,
    modules: Mapping[str, str] | None = None,
) -> None:
    """Write a distribution's metadata (`{group: {name: module}}`) and its modules (`{name: source}`)."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {module}\n" for key, module in points.items())
        for group, points in (entry_points or {}).items()
    )
    (folder / "entry_points.txt").write_text("\n".join(groups))
    for module, source in (modules or {}).items():
        (site / f"{module}.py").write_text(source)
