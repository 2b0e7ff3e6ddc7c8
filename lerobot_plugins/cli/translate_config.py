"""`lerobot-plugins translate-config`: a YAML of PaliGemma-VLA as a command of lerobot-train."""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lerobot_plugins.runs.translation import TRAIN_SCRIPT, Dataset, Translation, read_yaml, translate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the YAML, such as configs/vla_config.yaml")
    parser.add_argument(
        "--repo-id", default="local/vla", metavar="USER/NAME", help="of the converted dataset"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("data/vla"), help="its folder (default: data/vla); gives the frames"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="its frames, where it is not converted yet")
    parser.add_argument("--fps", default="FPS", help="for the printed conversion: the rows have no times")
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="GPUs that the total batch is divided over"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when a key is unknown, or its option is not in the installed policy."""
    settings = read_yaml(arguments.file)
    dataset = Dataset(
        arguments.repo_id, arguments.root, arguments.frames or _frames(arguments.root), arguments.fps
    )
    translation = translate(settings, dataset, arguments.processes, _policy_fields())
    _require_accepted(translation)
    print("\n".join(_script(translation)))
    return int(bool(translation.unknown or translation.unavailable))


def _script(translation: Translation) -> Iterator[str]:
    """The commands, and the report as comments of a shell script."""
    for command in translation.before:
        yield shlex.join(command)
    words = [word if word == TRAIN_SCRIPT else shlex.quote(word) for word in translation.command]
    start = len(words) - len(translation.options)
    yield " \\\n  ".join([" ".join(words[:start]), *words[start:]])
    width = max((len(key) for key, *_ in translation.mapped), default=0)
    yield "#"
    for key, value, became in translation.mapped:
        yield f"# {key:<{width}}  {value}  ->  {became}".replace("\n", " ")
    for title, entries in (
        ("mean nothing here:", translation.meaningless),
        ("not in the installed paligemma_flow:", translation.unavailable),
        ("unknown to PaliGemma-VLA as well:", [(key, "") for key in translation.unknown]),
    ):
        if entries:
            yield f"# {title}"
            yield from (f"#   {key:<{width}}  {why}".rstrip() for key, why in entries)


def _frames(root: Path) -> int | None:
    info = root / "meta" / "info.json"
    return int(json.loads(info.read_text())["total_frames"]) if info.is_file() else None


def _policy_fields() -> tuple[str, ...]:
    # LeRobot takes seconds to import.
    from lerobot.configs import PreTrainedConfig

    from lerobot_plugins import registry

    registry.load_host_plugins()
    config: Any = PreTrainedConfig.get_choice_class("paligemma_flow")
    return tuple(field.name for field in dataclasses.fields(config))


def _require_accepted(translation: Translation) -> None:
    """Let the policy's configuration refuse values before a training does."""
    from lerobot.configs import PreTrainedConfig

    from lerobot_plugins.cli.host_options import decode_options

    policy = [option for option in translation.options if option.startswith("--policy.")]
    decode_options(PreTrainedConfig, [f"--{option.removeprefix('--policy.')}" for option in policy])
