"""`lerobot-plugins infer POLICY`: the actions that a policy predicts from picture files, prompt and state."""

import argparse
import contextlib
import sys
from pathlib import Path

import numpy as np

from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation.files import to_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy", type=Path, help="the folder pretrained_model of a checkpoint")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="CAMERA=FILE",
        help="once for each camera; of a sequence several times, in the order of time",
    )
    parser.add_argument("--prompt", metavar="TEXT", help="the task")
    parser.add_argument(
        "--state", type=float, nargs="+", metavar="X", help="observation.state; of a sequence one, or all"
    )
    parser.add_argument(
        "--sample", type=Path, metavar="DIR", help="<camera>.png, state.txt, prompt.txt, action.txt instead"
    )
    parser.add_argument(
        "--every", action="store_true", help="of a sequence a chunk at each observation, not at the newest"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sampled actions (default: 0)")
    parser.add_argument("--root", type=Path, metavar="DIR", help="a dataset that names the actions")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the policy's own)")
    parser.add_argument("--format", choices=("json", "csv"), default="json", help="of what is printed")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write prediction.json, predictions.csv, inference_log.txt"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status 1 when a predicted action is not finite."""
    # LeRobot takes seconds to import.
    from lerobot_plugins.inference.files import Inference
    from lerobot_plugins.inference.names import action_names
    from lerobot_plugins.inference.predictor import Predictor
    from lerobot_plugins.inference.sample import Sample, parse_images, read_folder, windows

    sample = read_folder(arguments.sample) if arguments.sample else Sample()
    sample.pictures |= parse_images(arguments.image)
    sample.prompt = arguments.prompt if arguments.prompt is not None else sample.prompt
    sample.state = arguments.state or sample.state
    if not sample.prompt:
        raise ZooError("there is no prompt", expected="the task in words", do='pass --prompt "..."')
    with contextlib.redirect_stdout(sys.stderr):  # LeRobot prints there
        predictor = Predictor(arguments.policy, arguments.device)
    notes: list[str] = []
    observations = list(windows(sample, predictor.config, arguments.every, notes))
    chunks = [predictor.predict(observation, arguments.seed) for observation in observations]
    names = action_names(arguments.policy, predictor.config, chunks[0].shape[1], arguments.root)
    inference = Inference(
        arguments.policy,
        predictor.config.type,
        sample.prompt,
        arguments.seed,
        names,
        chunks,
        notes,
        sample.action,
    )
    sys.stdout.write(inference.to_csv() if arguments.format == "csv" else to_json(inference.to_dict()))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if arguments.output:
        inference.write(arguments.output)
    return int(not all(np.isfinite(chunk).all() for chunk in chunks))
