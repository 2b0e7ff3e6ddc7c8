"""The model card of a policy: what it was trained on, how it normalises, how good it is, its licences.

Nothing is made up: what no file tells is said to be unknown.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from lerobot_plugins.errors import ZooError

SCRATCH = "scratch"
UNKNOWN = "unknown"
# What a metrics file is asked for: heading -> path in an evaluation's metrics.json.
_METRICS = {
    "episodes": ("counts", "episodes"),
    "frames": ("counts", "frames"),
    "MAE, executed, normalised to [-1, 1]": ("executed", "normalized", "mae"),
    "MAE, executed, raw units": ("executed", "raw", "mae"),
    "MAE, whole chunks, normalised": ("chunk", "normalized", "mae"),
}
_TRAINING = ("steps", "batch_size", "seed", "num_workers")
_POLICY = ("dtype", "chunk_size", "n_action_steps", "optimizer_lr", "ema_decay", "freeze_vision_tower")
_POLICY_MORE = ("freeze_language_model", "trained_steps")


def licence_of(base: str | None) -> str:
    """The licence of a policy: Gemma's terms go with every model that was made of Gemma's weights."""
    return "apache-2.0" if base == SCRATCH else "gemma"


def sections(
    config: Mapping[str, Any],
    training: Mapping[str, Any] | None,
    base: str | None,
    metrics: Mapping[str, Any] | None = None,
) -> str:
    """What our cards say beside LeRobot's, in Markdown.

    Args:
        config: The policy's config.json.
        training: train_config.json, if there is one.
        base: Where its weights began: hub id, folder, or `scratch`; None if nothing tells.
        metrics: metrics.json of an evaluation with `--env.type=dataset_replay`.
    """
    kind = config.get("type", UNKNOWN)
    parts = [
        ("Base weights and licence", _base(base)),
        ("Data and normalisation", _table(_data(config, training))),
        ("Training", _table(_trained(config, training))),
        ("Measured", _measured(metrics)),
        ("Limits", _limits(metrics)),
        ("Use", _use(kind, str(config.get("repo_id") or "user/policy"))),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts) + "\n"


def checkpoint_card(folder: Path, base: str | None, metrics_file: Path | None = None) -> ModelCard:
    """The card of a checkpoint on disk; no network.

    Args:
        folder: `pretrained_model` of a checkpoint.
        base: As `sections`.
        metrics_file: metrics.json of a report.

    Raises:
        ZooError: A file is missing or is no JSON.
    """
    config = _json(folder / "config.json")
    train_file = folder / "train_config.json"
    training = _json(train_file) if train_file.exists() else None
    metrics = _json(metrics_file) if metrics_file is not None else None
    kind = config.get("type", UNKNOWN)
    dataset = (training or {}).get("dataset", {}).get("repo_id")
    data = ModelCardData(
        license=config.get("license") or licence_of(base),
        library_name="lerobot",
        pipeline_tag="robotics",
        tags=sorted({"robotics", "lerobot", kind, *(config.get("tags") or [])}),
        model_name=kind,
        datasets=dataset,
        base_model=base if _is_hub_id(base) else None,
    )
    text = f"---\n{data.to_yaml()}\n---\n\n# {config.get('repo_id') or kind}\n\nA policy of type `{kind}`, "
    text += "trained with [LeRobot](https://github.com/huggingface/lerobot) and `lerobot_policy_zoo`.\n\n"
    return ModelCard(text + sections(config, training, base, metrics))


def _base(base: str | None) -> str:
    if base == SCRATCH:
        return "The weights began at random; no pretrained weights are in it. Licence: Apache-2.0."
    named = f"`{base}`" if base else f"{UNKNOWN}"
    return (
        f"Began from: {named}. PaliGemma's weights come under the "
        "[Gemma terms](https://ai.google.dev/gemma/terms), which go with every model made of them; openpi's "
        "code and additions under Apache-2.0. Who uses this policy accepts both."
    )


def _data(config: Mapping[str, Any], training: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    dataset = (training or {}).get("dataset") or {}
    inputs, outputs = config.get("input_features") or {}, config.get("output_features") or {}
    shapes = [f"{name} {feature.get('shape')}" for name, feature in {**inputs, **outputs}.items()]
    source = {
        "dataset": "the training dataset",
        "checkpoint": "the checkpoint it began from",
        "file": "a file",
    }
    return [
        ("dataset", dataset.get("repo_id", UNKNOWN)),
        (
            "episodes",
            "all" if dataset and dataset.get("episodes") is None else dataset.get("episodes", UNKNOWN),
        ),
        ("features", "; ".join(shapes) or UNKNOWN),
        ("state is normalised by", config.get("state_normalization", UNKNOWN)),
        ("action is normalised by", config.get("action_normalization", UNKNOWN)),
        ("statistics of", source.get(str(config.get("stats_source")), UNKNOWN)),
    ]


def _trained(config: Mapping[str, Any], training: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        (name, training.get(name, UNKNOWN) if training else UNKNOWN) for name in _TRAINING
    ]
    return rows + [(name, config.get(name, UNKNOWN)) for name in (*_POLICY, *_POLICY_MORE)]


def _measured(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return "Nothing: no evaluation was given when this card was written."
    rows: list[tuple[str, object]] = [("dataset", _at(metrics, ("dataset", "repo_id")))]
    rows += [(heading, _at(metrics, path)) for heading, path in _METRICS.items()]
    return "Open loop, on recorded episodes (`--env.type=dataset_replay`):\n\n" + _table(rows)


def _limits(metrics: Mapping[str, Any] | None) -> str:
    lines = [
        "- It acts on the robot, cameras and units of the dataset above and on no other.",
        "- Errors on recorded episodes say how close it is to the demonstrator, not whether it succeeds.",
    ]
    if metrics is None:
        lines.append("- How good it is, is not said here.")
    elif not metrics.get("complete", False):
        lines.append("- The evaluation above is not complete.")
    return "\n".join(lines)


def _use(kind: str, repo_id: str) -> str:
    return (
        "```bash\npip install lerobot_policy_zoo\n"
        f"lerobot-eval --policy.path={repo_id} --env.type=dataset_replay --env.repo_id=DATASET \\\n"
        "  --eval.n_episodes=1 --eval.batch_size=1\n"
        f"lerobot-rollout --policy.path={repo_id} --robot.type=ROBOT --task=TASK\n```\n\n"
        f"LeRobot knows `{kind}` once the package is installed. The statistics are inside."
    )


def _table(rows: list[tuple[str, object]]) -> str:
    lines = ["| | |", "|---|---|"]
    for name, value in rows:
        text = f"{value:.5g}" if isinstance(value, float) else str(value)
        escaped = text.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {name} | {escaped} |")
    return "\n".join(lines)


def _at(tree: Mapping[str, Any] | None, path: tuple[str, ...]) -> Any:
    value: Any = tree
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return UNKNOWN if value is None else value


def _is_hub_id(base: str | None) -> bool:
    return base is not None and base.count("/") == 1 and not base.startswith((".", "/", "~"))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ZooError(
            f"{path} cannot be read",
            got=error.strerror,
            do="name the folder `pretrained_model` of a checkpoint",
        ) from error
    except ValueError as error:
        raise ZooError(f"{path} is no JSON", got=str(error)) from error
    if not isinstance(value, dict):
        raise ZooError(f"{path} holds no object", got=type(value).__name__, expected="{...}")
    return value
