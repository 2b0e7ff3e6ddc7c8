"""The statistics that travel with an openpi checkpoint: `assets/<asset id>/norm_stats.json`."""

from pathlib import Path, PurePosixPath

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.statistics.openpi import FILE, Stats, fit_width, read_norm_stats


def asset_ids(assets: Path) -> list[str]:
    """The ids under an assets folder; an id may have several parts (`behavior-1k/2025-challenge-demos`)."""
    return sorted(path.parent.relative_to(assets).as_posix() for path in assets.rglob(FILE))


def read_assets(assets: Path, widths: dict[str, int], asset_id: str | None = None) -> tuple[str, Stats]:
    """The id and the statistics of a checkpoint, cut to the widths of the features.

    Args:
        assets: The checkpoint's `assets` folder.
        widths: Feature -> number of dimensions.
        asset_id: Which statistics, where there are several.

    Raises:
        ZooError: No statistics, several and none chosen, or of another width.
    """
    ids = asset_ids(assets)
    if asset_id is None and len(ids) > 1:
        raise ZooError(
            f"{assets} has the statistics of several data sets",
            got=first_names(ids, limit=20),
            expected="the one of your robot",
            do=f"choose it: --asset-id={ids[0]}",
        )
    chosen = asset_id or (ids[0] if ids else "*")
    if chosen not in ids:
        raise ZooError(
            f"the checkpoint has no statistics {assets}/{chosen}/{FILE}",
            got=first_names(ids, limit=20) if ids else "none",
            expected="the statistics that the checkpoint was trained with",
            do="copy its assets folder beside its weights, choose with --asset-id, or take those of your "
            "dataset with --stats=dataset",
        )
    path = assets / chosen / FILE
    stats = read_norm_stats(path)
    absent = widths.keys() - stats.keys()
    if absent:
        raise ZooError(
            f"{path} has no statistics of {first_names(absent)}",
            got=first_names(stats),
            expected=first_names(widths),
            do="for a checkpoint that sees no state pass --policy.discrete_state_input=false, else take "
            "those of your dataset with --stats=dataset",
        )
    return chosen, {key: fit_width(stats[key], key, width, path) for key, width in widths.items()}


def checked_asset_id(asset_id: str) -> str:
    """An asset id that is safe to use as a path.

    Raises:
        ZooError: It is empty, absolute, or leaves the assets folder.
    """
    parts = PurePosixPath(asset_id).parts
    if not parts or asset_id.startswith("/") or ".." in parts:
        raise ZooError(
            "this asset id is no relative path",
            got=repr(asset_id),
            expected="a name such as my_robot or my_lab/my_robot",
            do="give one with --asset-id",
        )
    return asset_id
