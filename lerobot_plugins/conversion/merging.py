"""Merge datasets of one form: pictures and videos keep their bytes, statistics are exact over all frames.

Episodes are staged out of the parts as a conversion stages them, and assembled by the same code; so a merge
may be killed and continued, and the parts of a split conversion become what the whole would have been.
Episodes that are repeated are staged once.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lerobot_plugins import __version__
from lerobot_plugins.conversion.layout import FileLimits
from lerobot_plugins.conversion.locating import located
from lerobot_plugins.conversion.matching import differences
from lerobot_plugins.conversion.merged_assembly import MergedAssembly
from lerobot_plugins.conversion.mixing import Mixing, Mixture, mix
from lerobot_plugins.conversion.part import Part
from lerobot_plugins.conversion.provenance import SCHEMA_VERSION
from lerobot_plugins.conversion.quarantine import QUARANTINE_PATH
from lerobot_plugins.conversion.quarantine import SCHEMA_VERSION as QUARANTINE_SCHEMA
from lerobot_plugins.conversion.source import LABEL_NAMES
from lerobot_plugins.conversion.staging import Staging, require_new
from lerobot_plugins.conversion.writer import Conversion, continuable
from lerobot_plugins.errors import ZooError

logger = logging.getLogger(__name__)


def merge_datasets(
    roots: Sequence[Path],
    output: Path,
    limits: FileLimits | None = None,
    *,
    mixing: Mixing | None = None,
    statistics_of: Path | None = None,
) -> Conversion:
    """Merge LeRobotDatasets v3, in the order in which they are given.

    Args:
        roots: Their folders.
        output: The folder to create; episodes are staged in `<output>.partial`.
        limits: Sizes of files; LeRobot's own by default.
        mixing: What is repeated; nothing by default.
        statistics_of: The one of `roots` whose `meta/stats.json` the merged dataset gets; None computes
            exact ones over all its frames, repeated ones counted as often as they are there.

    Returns:
        What was made.

    Raises:
        ZooError: A dataset is incomplete or damaged, the datasets differ in form, parts of a split conversion
            are missing or out of order, the mixture cannot be made, or `output` exists.
    """
    require_new(output)
    mixing = mixing or Mixing()
    parts, mixture = plan_merge(roots, mixing)
    source = _part_of(parts, statistics_of)
    limits = limits or FileLimits()
    _tell_of_the_rest(parts)
    provenance = _provenance(parts, limits)
    if not (mixing.is_plain and source is None):
        provenance["mixture"] = _describe(mixing, mixture, parts, source)
    places = {piece: index for index, piece in enumerate(dict.fromkeys(mixture.pieces))}
    staging = Staging.of(output)
    with continuable(staging, len(places)), staging.opened(json.loads(json.dumps(provenance))):
        for piece, index in tqdm(places.items(), desc="copying", unit="episode"):
            if not staging.is_finished(index):
                part = parts[piece.part]
                with (
                    located(f"{part.root}, episode {piece.episode}"),
                    staging.write_episode(index) as folder,
                ):
                    part.stage(piece.episode, folder, piece.start, piece.stop)
        folders = [staging.episode(places[piece]) for piece in mixture.pieces]
        assembly = MergedAssembly(parts, mixture, folders, limits, staging.dataset, source)
        with tqdm(total=len(folders), desc="assembling", unit="episode") as bar:
            assembly.write(provenance, bar.update)
        _write_quarantine(parts, staging.dataset)
        _write_label_names(parts, mixture, staging.dataset)
        staging.dataset.rename(output)
        staging.remove()
    return Conversion(output, len(folders), sum(assembly.lengths), {})


def plan_merge(roots: Sequence[Path], mixing: Mixing) -> tuple[list[Part], Mixture]:
    """Open datasets, check that they go together, and decide what the merged one holds.

    Raises:
        ZooError: See `merge_datasets`.
    """
    parts = [Part.open(root) for root in roots]
    _require_one_form(parts, at_least=2 if mixing.is_plain else 1)
    _require_whole(parts)
    if parts[0].has_labels:
        for part in parts:
            part.label_names()
    return parts, mix(parts, mixing)


def _require_one_form(parts: Sequence[Part], at_least: int) -> None:
    if len(parts) < at_least:
        raise ZooError("nothing to merge", got=f"{len(parts)} dataset", expected="at least two")
    roots = [part.root.resolve() for part in parts]
    if len(set(roots)) < len(roots):
        raise ZooError("a dataset is named twice", got=", ".join(str(part.root) for part in parts))
    for part in parts[1:]:
        if found := differences(parts[0].info, part.info):
            raise ZooError(
                f"{part.root} has another form than {parts[0].root}",
                got="; ".join(found),
                expected="the same rate, robot and features: first the latter's, then the former's",
                do="merge datasets of one form, or convert them alike",
            )


def _require_whole(parts: Sequence[Part]) -> None:
    """Parts of a split conversion must all be there, in order."""
    shards = [part.shard for part in parts]
    for one, other in pairwise(shards):
        if one is None or other is None or one[1] != other[1] or other[0] == 0:
            continue
        if one[0] >= other[0]:
            raise ZooError(
                "parts of a split conversion are out of order",
                got=", ".join(f"{shard[0]} of {shard[1]}" for shard in shards if shard),
                expected="ascending: episodes keep the order of the source",
                do="name them in order, as the shell sorts ROOT-*",
            )
    for count in {shard[1] for shard in shards if shard is not None}:
        numbers = [shard[0] for shard in shards if shard is not None and shard[1] == count]
        if missing := sorted(set(range(count)) - set(numbers)):
            raise ZooError(
                f"parts of a conversion that was split into {count} are missing",
                got=f"parts {', '.join(map(str, numbers))}",
                expected=f"also {', '.join(map(str, missing))}",
                do="convert them: the same command with the other --shard",
            )


def _tell_of_the_rest(parts: Sequence[Part]) -> None:
    """What other tools keep beside a dataset counts its frames, and does not fit another."""
    for part in parts:
        if others := part.other_files:
            logger.warning(
                "not carried over from %s, make them again: meta/%s", part.root, ", meta/".join(others)
            )


def _part_of(parts: Sequence[Part], root: Path | None) -> Part | None:
    if root is None:
        return None
    for part in parts:
        if part.root.resolve() == root.resolve():
            return part
    raise ZooError(
        "the statistics of a dataset that is not merged are asked for",
        got=root,
        expected="one of " + ", ".join(str(part.root) for part in parts),
        do="pass --statistics-of=all, or one of them",
    )


def _describe(
    mixing: Mixing, mixture: Mixture, parts: Sequence[Part], statistics_of: Part | None
) -> dict[str, Any]:
    """For each episode where it comes from: number of the part, episode there, first frame, frames."""
    return {
        **mixing.describe(),
        "statistics_of": "all" if statistics_of is None else statistics_of.root.name,
        "frames": [mixture.frames_of(number) for number in range(len(parts))],
        "episodes": [[piece.part, piece.episode, piece.start, piece.length] for piece in mixture.pieces],
    }


def _provenance(parts: Sequence[Part], limits: FileLimits) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"lerobot_policy_zoo": __version__},
        "source": {"format": "merge", "parts": [part.describe() for part in parts]},
        "files": vars(limits),
        "skipped": [
            {**entry, "part": part.root.name}
            for part in parts
            for entry in (part.provenance or {}).get("skipped", [])
        ],
    }


def _write_label_names(parts: Sequence[Part], mixture: Mixture, root: Path) -> None:
    """What the parts call the labels in their pictures, which differs between episodes."""
    if parts[0].has_labels:
        names = [part.label_names() for part in parts]
        merged = [names[piece.part][piece.episode] for piece in mixture.pieces]
        text = json.dumps(merged, ensure_ascii=False) + "\n"
        (root / "meta" / LABEL_NAMES).write_text(text, encoding="utf-8")


def _write_quarantine(parts: Sequence[Part], root: Path) -> None:
    """What the parts set aside."""
    reports: list[tuple[Part, Mapping[str, Any]]] = [
        (part, part.quarantine) for part in parts if part.quarantine is not None
    ]
    if reports:
        report = {
            "schema_version": QUARANTINE_SCHEMA,
            "converted": sum(len(part.episodes) for part in parts),
            "set_aside": [
                {**entry, "part": part.root.name} for part, found in reports for entry in found["set_aside"]
            ],
        }
        text = json.dumps(report, indent=4, ensure_ascii=False) + "\n"
        (root / QUARANTINE_PATH).write_text(text, encoding="utf-8")
