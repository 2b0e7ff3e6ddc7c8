"""A checkpoint may only name files of its own folder, and only steps that are registered.

LeRobot 0.6.1 joins the names that a processor's JSON gives to its folder as they are, `../x` included, and
imports and calls any class that a step names. So our policies look at both before LeRobot does.
"""

import json
from pathlib import Path
from typing import Any

from lerobot_plugins.errors import ZooError
from lerobot_plugins.paths import inside

PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")


def require_own_names(processor: Path) -> None:
    """Refuse a processor that names a state file elsewhere, or a class instead of a registered step.

    Args:
        processor: Its JSON, in the checkpoint's folder.

    Raises:
        ZooError: It does, or it is a link out of the folder, or no processor.
    """
    inside(processor.parent, processor.name, processor.parent)
    try:
        steps: Any = json.loads(processor.read_text(encoding="utf-8"))["steps"]
        named = [(step.get("state_file"), step.get("registry_name"), step.get("class")) for step in steps]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ZooError(
            f"{processor} is no processor", got=f"{type(error).__name__}: {error}", expected='{"steps": []}'
        ) from error
    for state_file, registered, class_path in named:
        if state_file is not None:
            inside(processor.parent, state_file, processor.name)
        if registered is None:
            raise ZooError(
                f"{processor.name} names a class instead of a registered step; LeRobot would call it",
                got=class_path,
                expected="registry_name, as every step of these policies has",
                do="do not use this checkpoint unless it is yours; then register the step with "
                "@ProcessorStepRegistry.register() and save the processor again",
            )
