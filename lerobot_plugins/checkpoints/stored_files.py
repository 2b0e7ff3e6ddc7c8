"""The files of a checkpoint, in a folder or on the Hub."""

from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
)

from lerobot_plugins.checkpoints.own_files import PROCESSORS
from lerobot_plugins.errors import ZooError


def weights_file(source: str, hub: dict[str, Any]) -> Path:
    """The safetensors file of a folder or hub id; `hub` holds arguments of `hf_hub_download`.

    Raises:
        ZooError: It cannot be had.
    """
    name = constants.SAFETENSORS_SINGLE_FILE
    if Path(source).is_dir():
        return Path(source) / name
    try:
        return Path(hf_hub_download(source, name, **hub))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError) as error:
        raise ZooError(
            f"no {name} for {source}",
            got=str(error).splitlines()[0],
            expected="a folder, or a model on the Hub that can be reached or is cached",
            do="check the name; offline, download it first with `hf download`",
        ) from error


def processor_files(source: str, hub: dict[str, Any]) -> list[Path]:
    """The JSON files of the processors that a checkpoint has, as `weights_file` finds them.

    A policy without processors can be loaded; LeRobot asks for them itself where it needs them.

    Raises:
        ZooError: Whether it has them cannot be told. LeRobot might get them a moment later, unlooked at.
    """
    if Path(source).is_dir():
        return [path for name in PROCESSORS if (path := Path(source) / name).is_file()]
    offline = constants.HF_HUB_OFFLINE or hub.get("local_files_only", False)
    found = []
    for name in PROCESSORS:
        try:
            found.append(Path(hf_hub_download(source, name, **hub)))
        except RemoteEntryNotFoundError:
            continue
        except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError) as error:
            if offline and isinstance(error, LocalEntryNotFoundError):
                continue  # nor can LeRobot get it
            raise ZooError(
                f"whether {source} has {name} cannot be told",
                got=str(error).splitlines()[0],
                expected="a folder, or a model on the Hub that can be reached or is cached",
                do="try again; a checkpoint is looked at before it is loaded",
            ) from error
    return found
