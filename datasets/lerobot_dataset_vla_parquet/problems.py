"""What can be wrong with the rows of a recording: one short name for each, and how it is reported.

docs/vla_parquet.md lists them. A name stands in brackets in messages and in `meta/quarantine.json`.
"""

from dataclasses import dataclass

from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class Problem:
    """Something wrong at one row.

    Args:
        name: Which kind, such as `unterminated`.
        what: What is wrong, in words.
        row: The row of the file, from 0.
        column: The column it is about.
        got: What was found.
        expected: What would have been right.
        do: The next step.
    """

    name: str
    what: str
    row: int
    column: str
    got: object = None
    expected: object = None
    do: str | None = None

    def error(self, file: str) -> ZooError:
        """The error that reports it."""
        return ZooError(
            f"{file}, row {self.row}, column '{self.column}': {self.what} [{self.name}]",
            got=self.got,
            expected=self.expected,
            do=self.do,
        )
