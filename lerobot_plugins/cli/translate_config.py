"""`lerobot-plugins translate-config`: a YAML of PaliGemma-VLA as a command of lerobot-train."""

import argparse
import json
import shlex
from pathlib import Path

from lerobot_plugins.errors import ZooError
from lerobot_plugins.runs.translation import Dataset, Translation, read_yaml, translate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("yaml", type=Path, metavar="FILE.yaml", help="such as configs/vla_config.yaml")
    parser.add_argument("--repo-id", required=True, metavar="USER/NAME", help="the converted dataset's name")
    parser.add_argument("--root", type=Path, required=True, help="its folder, which exists or will be made")
    parser.add_argument(
        "--frames", type=int, help="its number of frames, for epochs (default: what meta/info.json says)"
    )
    parser.add_argument("--processes", type=int, default=1, help="GPUs the total batch is divided over")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Print the command and what became of each key; 1 if some key is unknown."""
    if arguments.processes < 1:
        raise ZooError(
            "--processes names no number of processes", got=arguments.processes, expected="1 or more"
        )
    dataset = Dataset(arguments.repo_id, arguments.root, _frames(arguments.root, arguments.frames))
    translation = translate(read_yaml(arguments.yaml), dataset, arguments.processes)
    if arguments.json:
        print(json.dumps(_as_json(translation), indent=2))
    else:
        _print(translation)
    return int(bool(translation.unknown))


def _frames(root: Path, given: int | None) -> int:
    if given is not None:
        if given < 1:
            raise ZooError("--frames is no number of frames", got=given, expected="1 or more")
        return given
    info = root / "meta" / "info.json"
    try:
        return int(json.loads(info.read_text())["total_frames"])
    except OSError as error:
        raise ZooError(
            "epochs become steps by the number of frames, and nothing tells it",
            got=f"no {info}",
            expected="a converted dataset, or --frames",
            do="pass --frames=N, or convert first: lerobot-plugins convert vla-parquet ...",
        ) from error


def _print(translation: Translation) -> None:
    for words in translation.before:
        print(shlex.join(words))
    words = [word if word.startswith("$(") else shlex.quote(word) for word in translation.command]
    print(" \\\n  ".join([" ".join(words[:3]), *words[3:]]))
    width = max((len(key) for key, *_ in (*translation.mapped, *translation.meaningless)), default=0)
    print("\nbecame")
    for key, value, what in translation.mapped:
        print(f"  {key:<{width}}  {value}  ->  {what}")
    print("\nmeans nothing here")
    for key, why in translation.meaningless:
        print(f"  {key:<{width}}  {why}")
    if translation.unknown:
        print("\nunknown, left out")
        for key in translation.unknown:
            print(f"  {key}")


def _as_json(translation: Translation) -> dict[str, object]:
    return {
        "before": translation.before,
        "command": translation.command,
        "mapped": [{"key": key, "value": value, "becomes": what} for key, value, what in translation.mapped],
        "meaningless": [{"key": key, "why": why} for key, why in translation.meaningless],
        "unknown": translation.unknown,
    }
