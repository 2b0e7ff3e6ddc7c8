"""Errors that teach: what is wrong, what was got, what was expected, what to do next."""


class ZooError(Exception):
    """A wrong input, reported so that the reader knows what to do next.

    Not a `ValueError`: where a config refuses its values, LeRobot's option parser drops the text of those
    ("Couldn't instantiate class ...") and shows the text of any other.

    Args:
        what: One sentence that says what is wrong and where (file, key, dimension).
        got: What was found.
        expected: What would have been right.
        do: The next step, if possible as a command.
    """

    def __init__(
        self, what: str, *, got: object = None, expected: object = None, do: str | None = None
    ) -> None:
        self.what, self.got, self.expected, self.do = what, got, expected, do
        lines = [what]
        for label, value in (("got", got), ("expected", expected), ("do", do)):
            if value is not None:
                lines.append(f"  {label + ':':<10}{value}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple:
        # Exceptions cross process boundaries by their constructor arguments.
        return _rebuild, (type(self), self.what, self.got, self.expected, self.do)


def _rebuild(cls: type[ZooError], what: str, got: object, expected: object, do: str | None) -> ZooError:
    return cls(what, got=got, expected=expected, do=do)


def first_names(names: object, limit: int = 5) -> str:
    """The first few of many names, with a count of the rest: `a, b, c (+7 more)`."""
    ordered = sorted(str(name) for name in names)  # type: ignore[attr-defined]
    rest = len(ordered) - limit
    return ", ".join(ordered[:limit]) + (f" (+{rest} more)" if rest > 0 else "")
