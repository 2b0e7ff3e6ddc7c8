"""All checks of a dataset in the order in which they are read.

A check that explains a column (degrees, exchanged arms) takes it from those behind it, so that one cause is
one finding and not five.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lerobot_plugins.doctor.dataset.agreement import Agreement
from lerobot_plugins.doctor.dataset.cameras import camera_findings
from lerobot_plugins.doctor.dataset.clock import Clock
from lerobot_plugins.doctor.dataset.copies import Copies
from lerobot_plugins.doctor.dataset.dimensions import INDEX_FEATURES, Description, Dimension, describe
from lerobot_plugins.doctor.dataset.findings import DatasetFinding, ok
from lerobot_plugins.doctor.dataset.finite import Finite, without_gaps
from lerobot_plugins.doctor.dataset.following import following_findings
from lerobot_plugins.doctor.dataset.frozen import Frozen
from lerobot_plugins.doctor.dataset.indices import Indices
from lerobot_plugins.doctor.dataset.jumps import Jumps
from lerobot_plugins.doctor.dataset.known_robot import know_robot, other_layout_findings
from lerobot_plugins.doctor.dataset.limits import exchanged_findings, limit_findings
from lerobot_plugins.doctor.dataset.mixed import mixed_repeats
from lerobot_plugins.doctor.dataset.order import order_findings
from lerobot_plugins.doctor.dataset.quaternions import Quaternions
from lerobot_plugins.doctor.dataset.ranges import Ranges
from lerobot_plugins.doctor.dataset.recorded import EpisodeData, Recorded
from lerobot_plugins.doctor.dataset.speeds import Speeds
from lerobot_plugins.doctor.dataset.still import still_findings
from lerobot_plugins.doctor.dataset.stored_statistics import statistics_findings
from lerobot_plugins.doctor.dataset.structure import readable_features, structure_findings
from lerobot_plugins.doctor.dataset.tasks import Tasks
from lerobot_plugins.doctor.dataset.units import degree_findings, gripper_findings
from lerobot_plugins.doctor.finding import PROBLEM


class Numbers:
    """The checks of state and action, over episodes in memory or streamed from files.

    Args:
        description: The dataset's numbers.
        repeats: Episodes that are there again on purpose -> the first of them.
    """

    def __init__(self, description: Description, repeats: Mapping[int, int] | None = None) -> None:
        everything = [d for dimensions in description.dimensions.values() for d in dimensions]
        states, actions = description.of_state(), description.of_action()
        self._description = description
        self._pairs = description.pairs()
        self._finite = Finite(everything)
        self._ranges = Ranges([*states, *actions])
        self._agreement = Agreement(self._pairs, description.fps)
        self._frozen = Frozen(self._pairs, description.fps)
        self._jumps = Jumps(states, actions, {d for pair in self._pairs for d in pair}, description.fps)
        self._quaternions = Quaternions(states)
        self._copies = Copies([*states, *actions], repeats)
        self._speeds = Speeds(states, description.fps)
        #: Episodes in which the robot moves.
        self.moving: set[int] = set()

    def see(self, episode: EpisodeData) -> None:
        """Add one episode."""
        self._finite.see(episode)
        episode = without_gaps(episode)
        for check in (
            self._ranges,
            self._agreement,
            self._frozen,
            self._jumps,
            self._quaternions,
            self._copies,
            self._speeds,
        ):
            check.see(episode)
        if any(_moves(episode, dimension) for dimension in self._description.of_state()):
            self.moving.add(episode.index)

    def findings(self) -> list[DatasetFinding]:
        """What is wrong, explanations first."""
        ranges, agreement, description = self._ranges, self._agreement, self._description
        claimed: set[Dimension] = set()
        features = {key: _entry(dimensions) for key, dimensions in description.dimensions.items()}
        findings = [
            *self._finite.findings(),
            *order_findings(agreement, claimed),
            *exchanged_findings(ranges, claimed),
            *other_layout_findings(features, description.layout, ranges, claimed),
            *gripper_findings(ranges, claimed),
            *degree_findings(ranges, claimed),
            *limit_findings(ranges, claimed),
            *still_findings(ranges, self._pairs, claimed),
            *self._frozen.findings(claimed),
            *self._copies.findings(),
        ]
        return [
            *findings,
            *self._jumps.findings(claimed, self._frozen.ends | self._copies.starts),
            *following_findings(agreement, description.fps, claimed),
            *self._quaternions.findings(),
            *self._speeds.findings(),
        ]


def examine(
    root: Path, robot: str | None = None, layout: str | None = None, *, progress: bool = True
) -> list[DatasetFinding]:
    """Every finding about the dataset in `root`.

    Args:
        root: A LeRobotDataset v3.
        robot: Its robot, if info.json does not tell or tells another one.
        layout: Its layout, if names and widths do not tell.
        progress: Show a bar of the frames that were read.

    Raises:
        ZooError: There is no dataset, it has another format, or robot or layout are unknown.
    """
    recorded = Recorded.open(root)
    readable = readable_features(recorded)
    known = know_robot(recorded.info, recorded.sample(readable), robot, layout)
    findings = [*structure_findings(recorded), *known.findings]
    if missing := [key for key in INDEX_FEATURES if key not in readable]:
        return [*findings, ok("indices", f"not checked, nor any number: {', '.join(missing)} cannot be read")]
    vectors = {key: recorded.features[key] for key in readable}
    description = describe(vectors, recorded.fps, known.layout, known.contract)
    numbers = Numbers(description, mixed_repeats(root))
    total = recorded.info.get("total_tasks")
    indices = Indices(recorded.episodes, recorded.fps)
    clock = Clock(recorded.fps)
    tasks = Tasks(recorded.tasks, recorded.episodes, total)
    with tqdm(
        total=recorded.info.get("total_frames"),
        desc="numbers",
        unit="frame",
        disable=not progress,
        leave=False,
    ) as bar:
        for episode in recorded.stream(readable):
            for check in (indices, clock, tasks, numbers):
                check.see(episode)
            bar.update(len(episode))
    findings += indices.findings()
    counted = not any(finding.name == "counts" and finding.state == PROBLEM for finding in findings)
    return [
        *findings,
        *clock.findings(),
        *tasks.findings(),
        *numbers.findings(),
        *statistics_findings(recorded, description),
        *camera_findings(recorded, numbers.moving, count=counted),
    ]


def examine_numbers(description: Description, episodes: Iterable[EpisodeData]) -> list[DatasetFinding]:
    """Every finding about states and actions that are in memory."""
    numbers = Numbers(description)
    for episode in episodes:
        numbers.see(episode)
    return numbers.findings()


def _moves(episode: EpisodeData, dimension: Dimension) -> bool:
    values_T = episode.columns[dimension.feature][:, dimension.index]
    return bool(len(values_T)) and float(values_T.max()) - float(values_T.min()) > 1e-3


def _entry(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    return {"shape": [len(dimensions)], "names": [d.name for d in dimensions]}
