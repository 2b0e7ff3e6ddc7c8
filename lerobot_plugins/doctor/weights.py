"""Whether PaliGemma's tokenizer and weights can be had: from the cache, or with `online` from the Hub."""

import json
from collections.abc import Sequence
from pathlib import Path

import httpx
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError

from lerobot_plugins.doctor.finding import OK, PROBLEM, WARNING, Finding
from lerobot_plugins.nn.paligemma import default_source
from lerobot_plugins.processing.text_tokenizer import TOKENIZER_FILE

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def backbone() -> str:
    """The hub id that the full-size presets start from."""
    return default_source("paligemma_3b")


def check_tokenizer(online: bool = False) -> Finding:
    """The tokenizer of the full-size presets; the tiny ones carry their own."""
    return _reachable("tokenizer", backbone(), _missing(backbone(), [TOKENIZER_FILE]), online)


def check_weights(online: bool = False) -> Finding:
    """The pretrained weights of the full-size presets; a checkpoint of ours needs them no more."""
    name = backbone()
    index = _cached(name, INDEX)
    shards = sorted(set(json.loads(index.read_text())["weight_map"].values())) if index else [SINGLE]
    return _reachable("weights", name, _missing(name, ["config.json", *shards]), online)


def _cached(name: str, file: str) -> Path | None:
    path = try_to_load_from_cache(name, file)
    return Path(path) if isinstance(path, str) else None


def _missing(name: str, files: Sequence[str]) -> list[str]:
    return [file for file in files if _cached(name, file) is None]


def _reachable(check: str, name: str, missing: list[str], online: bool) -> Finding:
    if not missing:
        return Finding(check, OK, f"{name} is in the cache")
    absent = f"{name} is not in the cache ({', '.join(missing)} missing)"
    download = f"accept the licence on the model's page, then `hf auth login` and `hf download {name}`"
    aside = "; not needed for the tiny presets"
    if constants.is_offline_mode():
        do = f"unset HF_HUB_OFFLINE, {download}{aside}"
        return Finding(check, WARNING, f"{absent}, and HF_HUB_OFFLINE forbids to fetch it", do)
    if not online:
        do = f"{download}{aside}; --online asks the Hub whether you may"
        return Finding(check, WARNING, f"{absent}; the Hub was not asked", do)
    try:
        HfApi().auth_check(name)
    except GatedRepoError:
        return Finding(check, PROBLEM, f"{absent}, and your account has no access", download)
    except (httpx.HTTPError, OSError) as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(check, PROBLEM, f"{absent}, and the Hub cannot be reached: {cause}", download)
    return Finding(check, OK, f"{absent}, but may be downloaded: LeRobot will fetch it at first use")
