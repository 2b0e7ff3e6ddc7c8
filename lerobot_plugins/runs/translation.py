"""From a YAML of PaliGemma-VLA (`configs/vla_config.yaml`) to a command of `lerobot-train`.

Every key becomes options of the command, or is reported as meaningless here and why, or is refused.
A key that nobody knows is reported, never dropped; so is one whose option the installed policy does not have.
"""

import math
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lerobot_plugins.errors import ZooError

# Picture tokens of a PaliGemma by the size in its name: (size / 14) squared.
PICTURE_TOKENS = {"224": 256, "448": 1024, "896": 4096}
# torchrun takes the path of a script.
TRAIN_SCRIPT = "$(which lerobot-train)"
RESAMPLERS = {"mlp": "mlp", "identity": "none", "none": "none", None: "none"}


@dataclass(frozen=True)
class Dataset:
    """The converted dataset that is trained on.

    Args:
        repo_id: Its name.
        root: Its folder.
        frames: How many it has; None where that is not known yet.
        fps: Of the conversion, as the command's reader fills it in.
    """

    repo_id: str
    root: Path
    frames: int | None
    fps: str = "FPS"


@dataclass
class Translation:
    """What became of a configuration.

    Attributes:
        options: Options of `lerobot-train`, in order.
        mapped: (key, value, what it became).
        meaningless: (key, why it has no counterpart).
        unknown: Keys that PaliGemma-VLA does not have either.
        unavailable: (key, option) of options that the installed policy does not have.
        before: Commands to run first.
        processes: How many processes train.
    """

    processes: int = 1
    options: list[str] = field(default_factory=list)
    mapped: list[tuple[str, Any, str]] = field(default_factory=list)
    meaningless: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unavailable: list[tuple[str, str]] = field(default_factory=list)
    before: list[list[str]] = field(default_factory=list)

    @property
    def command(self) -> list[str]:
        """The words of the training command."""
        start = ["lerobot-train"]
        if self.processes > 1:
            start = ["torchrun", "--standalone", f"--nproc-per-node={self.processes}", TRAIN_SCRIPT]
        return [*start, *self.options]


Rule = Callable[["_Reading", str, Any], None]


def read_yaml(path: Path) -> dict[str, Any]:
    """The leaves of a YAML by their dotted path.

    Raises:
        ZooError: No such file, no YAML, no mapping.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ZooError(f"{path} cannot be read", got=error.strerror, do="name the YAML of the run") from error
    except yaml.YAMLError as error:
        raise ZooError(f"{path} is no YAML", got=str(error).replace("\n", " ")) from error
    if not isinstance(tree, dict):
        raise ZooError(
            f"{path} holds no settings", got=type(tree).__name__, expected="data:, model:, training:"
        )
    return dict(_leaves(tree, ""))


def _leaves(tree: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def translate(
    settings: Mapping[str, Any], dataset: Dataset, processes: int = 1, policy_fields: Collection[str] = ()
) -> Translation:
    """Translate settings as `read_yaml` gives them.

    Args:
        settings: Dotted path -> value.
        dataset: What is trained on.
        processes: Over how many processes the total batch is divided.
        policy_fields: The fields of the installed policy's configuration; empty for any.

    Raises:
        ZooError: Numbers that contradict each other or that cannot be kept.
    """
    reading = _Reading(settings, dataset, Translation(processes))
    reading.add("--policy.type=paligemma_flow", "--policy.push_to_hub=false", "--policy.vlm_lr_scale=1")
    reading.add(f"--dataset.repo_id={dataset.repo_id}", f"--dataset.root={dataset.root}")
    for key, value in settings.items():
        leaf = key.rsplit(".", 1)[-1]
        rule = RULES.get(key) or RULES.get(leaf)
        if rule is None:
            reading.result.unknown.append(key)
            continue
        try:
            rule(reading, key, value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ZooError(
                f"the value of {key} cannot be understood",
                got=repr(value),
                expected="what PaliGemma-VLA's own YAML has there",
                do="correct the YAML",
            ) from error
    reading.finish()
    _set_unavailable_aside(reading.result, policy_fields)
    return reading.result


def _set_unavailable_aside(result: Translation, policy_fields: Collection[str]) -> None:
    def known(option: str) -> bool:
        name = option.removeprefix("--policy.").partition("=")[0]
        return not (policy_fields and option.startswith("--policy.")) or name in {*policy_fields, "type"}

    result.options = [option for option in result.options if known(option)]
    for entry in list(result.mapped):
        key, _, became = entry
        if lost := [option for option in became.split() if not known(option)]:
            result.mapped.remove(entry)
            result.unavailable.append((key, " ".join(lost)))


@dataclass
class _Reading:
    settings: Mapping[str, Any]
    dataset: Dataset
    result: Translation
    output: dict[str, str] = field(default_factory=dict)

    def add(self, *options: str) -> None:
        self.result.options += options

    def becomes(self, key: str, value: Any, *options: str) -> None:
        self.add(*options)
        self.result.mapped.append((key, value, " ".join(options) or "from the data"))

    def nothing(self, key: str, why: str) -> None:
        self.result.meaningless.append((key, why))

    def value(self, leaf: str, default: Any = None) -> Any:
        """The value of the key that ends in `leaf`."""
        return next((v for k, v in self.settings.items() if k.rsplit(".", 1)[-1] == leaf), default)

    @property
    def total_batch(self) -> int:
        return int(self.value("batch_size", 1))

    def steps(self, key: str, epochs: Any) -> int:
        """Optimizer steps of so many epochs.

        Raises:
            ZooError: The number of frames is not known.
        """
        if self.dataset.frames is None:
            raise ZooError(
                f"{key} counts epochs, and how many frames an epoch has is not known",
                got=f"no dataset in {self.dataset.root}",
                expected="the converted dataset: LeRobot counts steps",
                do=f"convert it first, or pass --frames N: {self.conversion}",
            )
        return int(epochs) * math.ceil(self.dataset.frames / self.total_batch)

    @property
    def conversion(self) -> str:
        """The command that makes the dataset."""
        for key, value in self.settings.items():
            if key.rsplit(".", 1)[-1] == "train_parquet_files":
                return shlex.join(
                    _conversion(value, self.dataset.repo_id, self.dataset.root, self.dataset.fps)
                )
        return "lerobot-plugins convert vla-parquet"

    def finish(self) -> None:
        if self.output:
            self.add(
                f"--output_dir={Path(self.output.get('dir', 'outputs')) / self.output.get('name', 'train')}"
            )


def _option(template: str) -> Rule:
    def rule(reading: _Reading, key: str, value: Any) -> None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        text = text.replace(" ", "") if isinstance(value, list) else text
        reading.becomes(key, value, template.format(text))

    return rule


def _nothing(why: str) -> Rule:
    return lambda reading, key, value: reading.nothing(key, why)


def _from_data(reading: _Reading, key: str, value: Any) -> None:
    reading.becomes(key, value)


def _rows(reading: _Reading, key: str, value: Any) -> None:
    held_out = "val_" in key
    ending = "_val" if held_out else ""
    dataset = reading.dataset
    reading.result.before.append(
        _conversion(value, dataset.repo_id + ending, Path(f"{dataset.root}{ending}"), dataset.fps)
    )
    what = "--env.repo_id of an evaluation" if held_out else "--dataset.repo_id"
    reading.result.mapped.append((key, value, f"converted once, then {what}"))


def _conversion(value: Any, repo_id: str, root: Path, fps: str) -> list[str]:
    paths = [str(path) for path in (value if isinstance(value, list) else [value])]
    names = ["--repo-id", repo_id, "--root", str(root), "--fps", fps]
    return ["lerobot-plugins", "convert", "vla-parquet", *paths, *names]


def _batch(reading: _Reading, key: str, value: Any) -> None:
    processes = reading.result.processes
    if int(value) % processes:
        raise ZooError(
            f"{key} cannot be divided over the processes",
            got=f"{value} over {processes}",
            expected=f"a multiple of {processes}: LeRobot's batch is that of one process",
            do="change the batch or --processes",
        )
    reading.becomes(key, value, f"--batch_size={int(value) // processes}")


def _dtype(reading: _Reading, key: str, value: Any) -> None:
    name = str(value).removeprefix("torch.")
    if name not in ("bfloat16", "float32"):
        raise ZooError(
            f"{key} is not supported",
            got=value,
            expected="bfloat16 or float32",
            do="take bfloat16: Gemma's activations exceed float16",
        )
    reading.becomes(key, value, f"--policy.dtype={name}")


def _picture_tokens(reading: _Reading, key: str, value: Any) -> None:
    source = str(reading.value("model_name_or_path", ""))
    size = re.search(r"-(224|448|896)(?!\d)", source)
    expected = [PICTURE_TOKENS[size[1]]] if size else list(PICTURE_TOKENS.values())
    if int(value) not in expected:
        raise ZooError(
            f"{key} contradicts the PaliGemma",
            got=value,
            expected=f"{' or '.join(map(str, expected))}: (size / 14) squared",
            do="leave it out: it follows from the weights",
        )
    reading.nothing(key, "follows from the weights; it agrees with them")


def _resampler(reading: _Reading, key: str, value: Any) -> None:
    if value not in RESAMPLERS:
        raise ZooError(f"{key} is unknown", got=value, expected="mlp, identity or none")
    reading.becomes(key, value, f"--policy.vision_resampler_type={RESAMPLERS[value]}")


def _resampler_width(reading: _Reading, key: str, value: Any) -> None:
    if value is None:
        reading.nothing(key, "null: the width that follows from the weights")
    else:
        reading.becomes(key, value, f"--policy.resampler_hidden_dim={value}")


def _layers(reading: _Reading, key: str, value: Any) -> None:
    reading.becomes(
        key, value, "--policy.head_type=mlp", f"--policy.mlp_hidden_dims={list(value)}".replace(" ", "")
    )


def _horizon(reading: _Reading, key: str, value: Any) -> None:
    reading.becomes(key, value, f"--policy.chunk_size={value}", f"--policy.n_action_steps={value}")


def _action_dim(reading: _Reading, key: str, value: Any) -> None:
    horizon, width = reading.value("horizon"), reading.value("per_action_dim")
    if horizon and width and int(value) != int(horizon) * int(width):
        raise ZooError(
            f"{key} contradicts horizon and per_action_dim",
            got=f"{value}, {horizon} and {width}",
            expected=f"{int(horizon) * int(width)}",
            do="correct one of the three",
        )
    reading.becomes(key, value, f"--policy.action_dim={value}")


def _epochs(reading: _Reading, key: str, value: Any) -> None:
    reading.becomes(key, value, f"--steps={reading.steps(key, value)}")


def _save_epochs(reading: _Reading, key: str, value: Any) -> None:
    reading.becomes(key, value, f"--save_freq={reading.steps(key, value)}")


def _only(expected: str, why: str) -> Rule:
    def rule(reading: _Reading, key: str, value: Any) -> None:
        if value != expected:
            raise ZooError(
                f"{key} is not translated", got=value, expected=expected, do="write that option yourself"
            )
        reading.nothing(key, why)

    return rule


def _bounds(reading: _Reading, key: str, value: Any) -> None:
    if [float(bound) for bound in value] != [-1.0, 1.0]:
        raise ZooError(
            f"{key} is not supported", got=value, expected="[-1, 1], what actions are normalised to"
        )
    reading.nothing(key, "actions are normalised to [-1, 1]")


def _where(part: str) -> Rule:
    def rule(reading: _Reading, key: str, value: Any) -> None:
        reading.output[part] = str(value)
        reading.result.mapped.append((key, value, "--output_dir"))

    return rule


_BACKBONE = "it comes with the PaliGemma"
# By dotted path where a leaf has several meanings, by leaf otherwise.
RULES: dict[str, Rule] = {
    "train_parquet_files": _rows,
    "val_parquet_files": _rows,
    "tokenizer_name_or_path": _nothing(_BACKBONE),
    "image_processor_name_or_path": _nothing(_BACKBONE),
    "siglip_model_name": _nothing(_BACKBONE),
    "max_seq_len": _option("--policy.n_obs_steps={}"),
    "prompt_max_len": _option("--policy.prompt_max_len={}"),
    "batch_size": _batch,
    "num_workers": _option("--num_workers={}"),
    "action_bounds": _bounds,
    "normalization_stats_path": _nothing("statistics are exact and part of the dataset"),
    "model_name_or_path": _option("--policy.init_from={}"),
    "use_aux_camera": _option("--policy.use_aux_camera={}"),
    "freeze_vision_tower": _option("--policy.freeze_vision_tower={}"),
    "freeze_language_model": _option("--policy.freeze_language_model={}"),
    "dtype": _dtype,
    "num_image_tokens": _picture_tokens,
    "vision_tower": _nothing(_BACKBONE),
    "model.vision_encoder_config.vision_resampler.type": _resampler,
    "hidden_dim": _resampler_width,
    "use_state_input": _option("--policy.use_state_input={}"),
    "num_action_dims": _from_data,
    "per_action_dim": _from_data,
    "state_dim": _from_data,
    "horizon": _horizon,
    "action_dim": _action_dim,
    "num_action_bins": _nothing("reports count in 256 bins; nothing is trained on bins"),
    "mlp_hidden_dims": _layers,
    "hidden_layers_config": _layers,
    "dropout_prob": _option("--policy.head_dropout={}"),
    "epochs": _epochs,
    "save_every_n_epochs": _save_epochs,
    "log_interval": _option("--log_freq={}"),
    "checkpoint_dir": _where("dir"),
    "experiment_name": _where("name"),
    "grad_clip_norm": _option("--policy.optimizer_grad_clip_norm={}"),
    "seed": _option("--seed={}"),
    "optimizer.type": _only("AdamW", "the optimizer of the policy"),
    "lr": _option("--policy.optimizer_lr={}"),
    "weight_decay": _option("--policy.optimizer_weight_decay={}"),
    "betas": _option("--policy.optimizer_betas={}"),
    "eps": _option("--policy.optimizer_eps={}"),
    "lr_scheduler.type": _only("CosineAnnealingLR", "the schedule of the policy, over all steps"),
    "T_max": _nothing("the cosine ends with the run, whatever its length"),
    "eta_min": _nothing("the cosine ends at 0"),
    "wandb.project": _option("--wandb.project={}"),
    "wandb.entity": _option("--wandb.entity={}"),
    "wandb.mode": _option("--wandb.mode={}"),
    "wandb.enable": _option("--wandb.enable={}"),
}
