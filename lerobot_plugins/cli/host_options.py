"""Options in LeRobot's own spelling (`--policy.type=...`), and what is said when they are wrong."""

from collections.abc import Sequence
from typing import TypeVar

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
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ZooError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise ZooError(
            "the options cannot be understood",
            got=" ".join(str(error).split()),
            do="compare the names and types of --policy.* with the policy's page under docs/",
        ) from error
