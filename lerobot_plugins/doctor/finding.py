"""What a check says."""

from typing import NamedTuple

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """One line of the doctor.

    `warning` is a limit that some work will meet, `problem` is something that fails or misleads.
    """

    name: str
    state: str
    detail: str
    do: str | None = None
