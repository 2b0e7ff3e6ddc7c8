"""Options in LeRobot's own spelling (`--policy.type=...`), and what is said when they are wrong."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lerobot_plugins.errors import ZooError

Options = TypeVar("Options")


def parse_host_options(options_class: type[Options], arguments: Sequence[str]) -> Options:
    """Fill a dataclass from the command line as LeRobot's commands do.

    Raises:
        ZooError: A value cannot be understood, or a configuration refuses it.
        SystemExit: An option or a policy type does not exist; the parser has said so.
    """
    import draccus
    from draccus.utils import DraccusException

    try:
        return draccus.parse(options_class, args=list(arguments))
    except DraccusException as error:
        raise _understandable(error) from error


def decode_options(options_class: type[Options], arguments: Sequence[str]) -> Options:
    """The same without help texts, whose writing for every choice takes the parser seconds.

    Args:
        options_class: A dataclass.
        arguments: `--name=value`.

    Raises:
        ZooError: An option does not exist, or its value cannot be understood or is refused.
    """
    import draccus
    from draccus import cfgparsing
    from draccus.utils import DraccusException

    values: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals:
            raise ZooError("an option cannot be understood", got=argument, expected="--name=value")
        values[name] = cfgparsing.parse_string(value)
    try:
        return draccus.decode(options_class, _nested(values))
    except DraccusException as error:
        raise _understandable(error) from error


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return tree


def _understandable(error: Exception) -> ZooError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ZooError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return ZooError(
        "the options cannot be understood",
        got=" ".join(str(error).split()),
        do="compare the names and types of --policy.* with the policy's page under docs/",
    )
