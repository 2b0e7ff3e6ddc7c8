"""The LeRobot policy contract, implemented once for every policy of the zoo.

A policy subclasses `ZooPolicy` and writes its network, `loss_terms` and `sample_chunk`; this file does
the rest: strict loading, the one autocast region, padded-action masking, queues, step-keyed randomness,
real-time chunking and adapters.

Legend: B batch, R rows that need a chunk, K draws per observation, H chunk length, A action dims.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import draccus
import numpy as np
import torch
from huggingface_hub import ModelCard
from lerobot.configs import PreTrainedConfig
from lerobot.policies import PreTrainedPolicy
from lerobot.policies.rtc.modeling_rtc import RTCProcessor
from torch import Tensor

from lerobot_plugins.checkpoints.card import licence_of, sections
from lerobot_plugins.checkpoints.load_report import empty_parameters, load_weights
from lerobot_plugins.checkpoints.own_files import require_own_names
from lerobot_plugins.checkpoints.stored_files import processor_files, weights_file
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace
from lerobot_plugins.nn.precision import autocast, parse_dtype, store_for_inference, store_parameters
from lerobot_plugins.policy.batches import batch_size, select_rows, valid_actions
from lerobot_plugins.policy.configuration import ZooPolicyConfig
from lerobot_plugins.policy.ema import PREFIX, WeightAverage, require_same
from lerobot_plugins.policy.losses import LossTerm, total
from lerobot_plugins.policy.queues import ActionQueues
from lerobot_plugins.policy.randomness import (
    EVALUATION,
    SAMPLING,
    TRAINING,
    keyed_generator,
    process_rank,
    run_seed,
)
from lerobot_plugins.processing import runtime

logger = logging.getLogger(__name__)


class ZooPolicy(PreTrainedPolicy):
    """Base class of the zoo's policies.

    Args:
        config: The policy's configuration; its features are checked here.
        dataset_stats: Statistics of the training dataset, when LeRobot knows them.
        dataset_meta: Metadata of the training dataset, when LeRobot trains.
        load_backbone: False when a checkpoint's weights follow, so that no pretrained weights are fetched.
    """

    config_class = PreTrainedConfig
    name = "zoo"
    config: Any
    # Parameters that checkpoints may hold under a second name: second name -> name here.
    tied_weights: ClassVar[Mapping[str, str]] = {}
    # Fields of the configuration that shape the network.
    network_fields: ClassVar[Sequence[str]] = ("max_action_dim", "paligemma_variant", "action_expert_variant")
    # Ends of the names of matrices that begin at zero, and stay so where the configuration freezes them.
    frozen_at_zero: ClassVar[Sequence[str]] = ()
    # Where the weights of a variant come from unless `init_from` names others: a hub id, or `scratch`.
    pretrained_sources: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        config: ZooPolicyConfig,
        dataset_stats: dict | None = None,
        dataset_meta: Any = None,
        load_backbone: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(config)
        config.validate_features()
        # The processors are built after the policy; this is how they learn about the training dataset.
        runtime.bind(dataset_meta, config)
        self.compute_dtype = parse_dtype(config.dtype)
        self.seed = run_seed()
        self.queues = self.make_queues()
        self.chunks_since_reset = 0
        self.ema: WeightAverage | None = None
        self.init_rtc_processor()

    def settle_parameters(self) -> None:
        """Dtypes and average of the parameters; the last call of a policy's constructor."""
        store_parameters(self, self.compute_dtype)
        if self.config.ema_decay is not None:
            self.ema = WeightAverage(self, self.config.ema_decay)
            # Every rank advances its own; broadcasting it before each step would cost as much as gradients.
            self._ddp_params_and_buffers_to_ignore = [f"{PREFIX}{name}" for name in self.ema.state_dict()]

    @classmethod
    def base_weights(cls, config: ZooPolicyConfig) -> str | None:
        """Where the weights began: hub id, folder, or `scratch`; None if nothing tells."""
        return config.init_from or cls.pretrained_sources.get(config.paligemma_variant)

    def generate_model_card(
        self, dataset_repo_id: str, model_type: str, license: str | None, *args: Any, **kwargs: Any
    ) -> ModelCard:
        """LeRobot's card, with what it leaves out: base weights and their licence, statistics, limits."""
        base = self.base_weights(self.config)
        card = super().generate_model_card(
            dataset_repo_id, model_type, license or licence_of(base), *args, **kwargs
        )
        cfg = kwargs.get("cfg")
        card.content += "\n" + sections(
            draccus.encode(self.config), draccus.encode(cfg) if cfg is not None else None, base
        )
        return card

    # What a policy writes itself.

    def loss_terms(
        self, batch: dict[str, Any], rng: np.random.Generator
    ) -> tuple[list[LossTerm], dict[str, Tensor]]:
        """Errors of a training batch, before any reduction.

        Returns:
            The terms of the loss (the padding mask of actions is applied by the caller), and named scalars to
            log: the same names on every rank and step.
        """
        raise NotImplementedError

    def sample_chunk(self, batch: dict[str, Any], noise_BHA: Tensor | None, **rtc: Any) -> Tensor:
        """Sample action chunks (B, H, A), float32, normalised units."""
        raise NotImplementedError

    # What a policy may refine.

    def make_queues(self) -> ActionQueues:
        """What turns predicted chunks into executed actions; by default one chunk after the other."""
        return ActionQueues()

    def observe(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What a policy acts on, given the observation of one step: by default that alone.

        Called once for every step that `select_action` is given and every batch that
        `predict_action_chunk` is; a policy that remembers steps adds them here, and leaves a batch that
        has them as it is.
        """
        return batch

    def action_validity(self, batch: dict[str, Any]) -> Tensor:
        """(B, H) bool: actions whose errors count; by default those inside their episode."""
        return valid_actions(batch)

    @classmethod
    def weight_name(cls, stored: str) -> str | None:
        """The name here of a checkpoint's tensor; None for one that this policy has no use for."""
        return stored

    # LeRobot's contract.

    def forward(self, batch: dict[str, Any], reduction: str = "mean") -> tuple[Tensor, dict[str, float]]:
        """Training loss; in evaluation mode the same functional with fixed noise and times.

        Args:
            batch: Preprocessed batch with `action` (B, H, A) and, from LeRobot's loader,
                `action_is_pad` (B, H).
            reduction: `mean` weighs every action that counts equally; `none` returns one loss per row (B,).

        Returns:
            The loss in float32 and scalars to log.
        """
        if reduction not in ("mean", "none"):
            raise ZooError("unknown reduction", got=reduction, expected="mean or none")
        with self.computing():
            terms, logs = self.loss_terms(batch, self._loss_generator())
        valid_BH = self.action_validity(batch)
        loss = total([term.masked(valid_BH) for term in terms], keep_batch=reduction == "none")
        logs["pad_fraction"] = 1.0 - valid_actions(batch).float().mean()
        # One transfer, so that the device is waited for once.
        values = torch.stack([value.float() for value in logs.values()]).tolist()
        return loss, dict(zip(logs, values, strict=True))

    @torch.no_grad()
    def predict_action_chunk(
        self,
        batch: dict[str, Any],
        noise: Tensor | None = None,
        inference_delay: int | None = None,
        prev_chunk_left_over: Tensor | None = None,
        execution_horizon: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Predict one chunk per row; never reads `action` from the batch.

        Args:
            batch: Preprocessed observation.
            noise: (B, H, A) sample at t = 1; None draws it from (eval_seed, chunks since reset), one draw
                for all rows, so that results do not depend on how environments are batched.
            inference_delay: Real-time chunking: actions of the chunk that will be executed before it arrives.
            prev_chunk_left_over: Real-time chunking: (T, A) or (B, T, A) normalised actions of the
                previous chunk that are not executed yet.
            execution_horizon: Real-time chunking: how far to blend; None is rtc_config's.

        Returns:
            (B, H, A) float32, normalised units.
        """
        self.eval()
        batch = self.observe(batch)
        rtc = {}
        if self.rtc_enabled:
            if prev_chunk_left_over is not None:
                # The host pads the left-over to its execution horizon, which may exceed a short chunk.
                prev_chunk_left_over = prev_chunk_left_over[..., : self.config.chunk_size, :]
            rtc = {
                "inference_delay": inference_delay,
                "prev_chunk_left_over": prev_chunk_left_over,
                "execution_horizon": execution_horizon,
            }
        with self.computing():
            chunk_BHA = self.sample_chunk(batch, noise, **rtc).float()
        self.chunks_since_reset += 1
        return chunk_BHA

    @torch.no_grad()
    def select_action(self, batch: dict[str, Any], noise: Tensor | None = None, **kwargs: Any) -> Tensor:
        """The next action of every row, (B, A); predicts chunks for the rows whose queue is empty."""
        assert not self.rtc_enabled, "real-time chunking calls predict_action_chunk itself"
        batch = self.observe(batch)
        size = batch_size(batch)
        rows = self.queues.dry_rows(size)
        if rows:
            if len(rows) < size:
                batch = select_rows(batch, rows, size)
                noise = None if noise is None else noise[rows]
            chunk_RHA, steps = self.next_chunks(batch, rows, noise)
            for row, chunk_HA, count in zip(rows, chunk_RHA, steps, strict=True):
                self.queues.push(row, chunk_HA[:count])
        return self.queues.pop()

    def next_chunks(
        self, batch: dict[str, Any], rows: list[int], noise: Tensor | None
    ) -> tuple[Tensor, list[int]]:
        """Chunks (R, H, A) for rows whose queue is empty, announced to who watches, and how many actions of
        each are executed."""
        chunk_RHA = self.predict_action_chunk(batch, noise=noise)
        trace.publish_chunk(chunk_RHA, rows)
        return chunk_RHA, [self.config.n_action_steps] * len(rows)

    def reset(self) -> None:
        """Forget everything about the current episodes."""
        self.queues.reset()
        self.chunks_since_reset = 0

    def update(self) -> None:
        """Called by LeRobot after every optimizer step."""
        self.config.trained_steps += 1
        if self.ema is not None:
            self.ema.update()

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """The one autocast region. Raw weights compute in training, their average otherwise."""
        ema = None if self.training else self.ema
        weights = ema.in_place() if ema is not None else contextlib.nullcontext()
        with weights, autocast(self.device, self.compute_dtype):
            yield

    def get_optim_params(self) -> Any:
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def supports_rtc(self) -> bool:
        return True

    def init_rtc_processor(self) -> None:
        """(Re-)create LeRobot's guidance from `config.rtc_config`; the host calls it after setting that."""
        rtc_config = self.config.rtc_config
        self.rtc_processor: RTCProcessor | None = RTCProcessor(rtc_config) if rtc_config is not None else None

    @property
    def rtc_enabled(self) -> bool:
        """Whether sampling is guided by the previous chunk."""
        return self.rtc_processor is not None and bool(self.config.rtc_config.enabled)

    def guide(self, rtc: dict[str, Any]) -> Callable[..., Tensor] | None:
        """What `euler_integrate` takes to be guided by the arguments of real-time chunking; None without."""
        processor = self.rtc_processor
        if not rtc or processor is None:
            return None
        return lambda **step: processor.denoise_step(**step, **rtc)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    # Randomness.

    def _loss_generator(self) -> np.random.Generator:
        if self.training:
            return keyed_generator(self.seed, TRAINING, self.config.trained_steps, process_rank())
        return keyed_generator(self.config.eval_seed, EVALUATION)

    def sampling_generator(self) -> np.random.Generator:
        """Generator of the next sampled chunk."""
        return keyed_generator(self.config.eval_seed, SAMPLING, self.chunks_since_reset)

    # Loading.

    @classmethod
    def from_pretrained(
        cls,
        pretrained_name_or_path: str | Path,
        *,
        config: PreTrainedConfig | None = None,
        strict: bool = True,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Load a policy; every tensor must find its place.

        Outside of a training run the matrices are stored in the dtype they compute in, and averaged weights
        take the place of the raw ones: the policy is then one without an average.

        Args:
            pretrained_name_or_path: Folder or hub id with config.json and model.safetensors.
            config: Use this configuration instead of the stored one.
            strict: Only True: a policy with some random weights is never what was asked for.

        Raises:
            ZooError: Files are missing, or tensors are missing, unexpected, mis-shaped or not finite; where
                that is because the policy was trained for actions or states of another width, both are named.
        """
        if not strict:
            raise ZooError("weights load strictly or not at all", got="strict=False", expected="strict=True")
        hub = {
            "revision": revision,
            "cache_dir": cache_dir,
            "token": token,
            "force_download": force_download,
            "local_files_only": local_files_only,
        }
        if config is None:
            config = PreTrainedConfig.from_pretrained(pretrained_name_or_path, **hub)
        path = weights_file(str(pretrained_name_or_path), hub)
        processors = processor_files(str(pretrained_name_or_path), hub)
        if config.use_peft and str(config.pretrained_path) not in ("None", str(pretrained_name_or_path)):
            # An adapter: this is its base, and the processors in use are its own.
            processors += processor_files(
                str(config.pretrained_path), {"revision": config.pretrained_revision}
            )
        for processor in processors:
            require_own_names(processor)
        with empty_parameters():
            policy = cls(config, load_backbone=False, **kwargs)
        acting = runtime.training_run() is None
        if acting:
            store_for_inference(policy, policy.compute_dtype)  # before there is memory to convert
        report = load_weights(policy, path, rename=cls._own_name, ties=cls.tied_weights)
        if report.mis_shaped or report.missing or report.unexpected:
            # Without a stored config the report says what it can.
            with contextlib.suppress(FileNotFoundError):
                stored = PreTrainedConfig.from_pretrained(pretrained_name_or_path, **hub)
                require_same_network(config, stored, path, cls.network_fields)
                if report.mis_shaped:
                    require_same_widths(config, stored, path)
        begins = require_same(policy.ema, report, str(pretrained_name_or_path))
        report.require_complete(str(path))
        if policy.ema is not None and begins:
            policy.ema.restart()
            logger.info("%s holds no averaged weights: the average starts from its weights", path)
        if acting and policy.ema is not None:
            policy.ema.become_weights()
            logger.info("%s: the averaged weights act", path)
            policy.ema = policy.config.ema_decay = None
        logger.info(
            "%s: %d tensors loaded, %d converted in dtype", path, len(report.loaded), len(report.converted)
        )
        return policy.to(config.device).eval()

    @classmethod
    def _own_name(cls, stored: str) -> str | None:
        return stored if stored.startswith(PREFIX) else cls.weight_name(stored)

    # Adapters.

    def _validate_peft_config(self, peft_config: Any) -> None:
        """Require a base on disk and remember it by an absolute path without links.

        The adapter stores the base's path as it is: a relative one breaks elsewhere, and one through
        `checkpoints/last` would later mean another base.
        """
        base = self.config.pretrained_path
        if not base:
            raise ZooError(
                "an adapter needs a base policy, and this one has no checkpoint",
                got="--peft without --policy.path",
                expected="a policy checkpoint",
                do=f"write one first: lerobot-plugins checkpoint init --policy.type={self.config.type} "
                "--dataset.repo_id=... --dataset.root=... --output=BASE, then pass --policy.path=BASE",
            )
        if self.config.ema_decay is not None:
            raise ZooError(
                "averages are kept of whole weights, not of adapters",
                got=f"--peft with ema_decay={self.config.ema_decay}",
                expected="one of the two",
                do="pass --policy.ema_decay=null; of a base with averages make a plain policy first: "
                f"lerobot-plugins checkpoint export {base} --output BASE --ema",
            )
        if Path(base).exists():
            self.config.pretrained_path = Path(base).resolve()


def require_same_widths(config: Any, stored: Any, path: Path) -> None:
    """Refuse weights whose shapes do not fit because action or state are wider or narrower here.

    Raises:
        ZooError: They are.
    """
    for name, here, there in (
        ("actions", config.action_feature, stored.action_feature),
        ("states", config.robot_state_feature, stored.robot_state_feature),
    ):
        if (width := _width(here)) != (trained := _width(there)):
            raise ZooError(
                f"the policy in {path.parent} was trained for other {name} than this data's",
                got=f"{width} dimensions in the dataset or environment",
                expected=f"{trained} dimensions, as in the checkpoint's config.json",
                do="use data with the features the policy was trained on, or train a new policy: "
                f"--policy.type={config.type} instead of --policy.path",
            )


def require_same_network(config: Any, stored: Any, path: Path, fields: Sequence[str]) -> None:
    """Refuse a checkpoint whose network is not the one that the options describe.

    Raises:
        ZooError: One of the fields that shape the network differs.
    """
    for name in fields:
        here, there = getattr(config, name, None), getattr(stored, name, None)
        if here != there:
            raise ZooError(
                f"{name} shapes the network and cannot change on --policy.path",
                got=here,
                expected=f"{there}, as in {path.parent}",
                do=f"leave --policy.{name} out; to start a changed network from these weights where that is "
                f"possible, pass --policy.type={config.type} --policy.init_from={path.parent}",
            )


def _width(feature: Any) -> int:
    return int(feature.shape[0]) if feature is not None else 0
