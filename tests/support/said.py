"""Whether the doctor said what it must, and nothing else."""

from collections.abc import Sequence

from number_faults import Told

from lerobot_plugins.doctor.dataset.findings import DatasetFinding
from lerobot_plugins.doctor.finding import OK, PROBLEM


def assert_said(findings: Sequence[DatasetFinding], all_told: Sequence[Told]) -> None:
    """Every fault is named rightly, and there is no other problem."""
    told_of = [[finding for finding in findings if _says(finding, told)] for told in all_told]
    complaints = [finding for finding in findings if finding.state != OK]
    assert all(told_of), complaints
    said = [finding for chosen in told_of for finding in chosen]
    assert [finding for finding in complaints if finding.state == PROBLEM and finding not in said] == []


def _says(finding: DatasetFinding, told: Told) -> bool:
    return (
        (finding.name, finding.state) == (told.name, told.state)
        and (not told.columns or set(finding.columns) == set(told.columns))
        and told.feature in (None, finding.feature)
        and told.episode in (None, finding.episode)
        and told.frame in (None, finding.frame)
        and bool(finding.do)
    )
