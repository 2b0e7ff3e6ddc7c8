"""Configuration of `pi05_comet_vlm2`: what differs from `pi05_comet`.

| here                                              | `pi05_comet`              |
|---------------------------------------------------|---------------------------|
| some cameras' tokens know where they lie in space | tokens of pictures alone  |
| and what was seen earlier in the episode          | the current picture alone |
| training sees `memory_frames` moments             | one                       |
| the vision tower is frozen                        | trained                   |
| no augmentation                                   | openpi's                  |
"""

from dataclasses import dataclass
from typing import Any

from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig, parser

from lerobot_plugins.contracts import r1pro
from lerobot_plugins.errors import ZooError, first_names
from lerobot_policy_pi05_comet.configuration_pi05_comet import PI05CometConfig
from lerobot_policy_pi05_comet.vlm2.geometry.registry import ENCODERS
from lerobot_policy_pi05_comet.vlm2.memories import MEMORIES

RESIDUAL_MODES = ("gated_identity", "paper")
DEPTH_UNITS = ("mm", "m")
STORE_DTYPES = ("float32", "bfloat16")
NEEDS_INTRINSICS = ("depth", "hf_depth")


@PreTrainedConfig.register_subclass("pi05_comet_vlm2")
@dataclass
class PI05CometVLM2Config(PI05CometConfig):
    """`pi05_comet` with 3-D perception and memory (VLM2, arXiv 2511.20644).

    Fields beyond those of `PI05CometConfig`:

    Args:
        residual_mode: `gated_identity` starts as `pi05_comet` to the last bit and opens gates in training;
            `paper` is the published form, which does not start from the pretrained function.
        spatial_cameras: Cameras whose tokens get 3-D and memory; None is the first of camera_order.
        geometry_encoder: `none`, `depth` (recorded depth), `hf_depth` (a metric depth model of
            transformers), `vggt` (your own package), `stub` (tests).
        geometry_pretrained: Folder or hub id of the encoder's weights; None is the encoder's own.
        geometry_image_size: Side of the pictures that hf_depth and vggt see.
        depth_features: Camera -> feature with its depth; None finds them by name and stores them.
        depth_unit: Unit of the depth in batches; LeRobot delivers `mm` unless --dataset.depth_output_unit=m.
        camera_intrinsics: Camera -> [fx, fy, cx, cy, width, height], in pixels of a picture of that size;
            fx is negative where pictures are mirrored, as LIBERO's are.
        geometry_dim: Width of geometry inside; view_dim that of the view.
        memory: `dual` (working and episodic memory), `hamlet` (moment tokens), `memory_vla` (a bank of
            summaries) or `none`; the middle two join tokens to the prefix whatever residual_mode is.
        memory_frames: Moments of an episode that training sees, the current one included.
        memory_stride: Control steps between them, and between writes when acting; None is n_action_steps.
        memory_gradient_frames: Latest moments whose pictures pass gradients on to perception and vision.
        memory_working: Slots of the working memory, and of hamlet's history (published 4).
        memory_episodic: Slots of the episodic memory, and of memory_vla's bank (published 16).
        memory_tau: Cosine similarity above which a moment is merged into an episodic entry.
        memory_alpha: Share of the old entry in the merged one.
        memory_heads: Attention heads of perception and memory.
        memory_hidden: Width inside their small networks.
        memory_pool_tokens: Tokens that a picture is averaged to before it is stored, a square; 0 is all.
        memory_store_dtype: Of stored tokens: `float32` or `bfloat16`.
        new_lr_scale: Learning rate of perception and memory over that of the rest: behind closed gates they
            hardly learn at the rate of pretrained weights.
    """

    freeze_vision_tower: bool = True
    image_augmentation: bool = False

    residual_mode: str = "gated_identity"
    spatial_cameras: list[str] | None = None
    geometry_encoder: str = "none"
    geometry_pretrained: str | None = None
    geometry_image_size: int = 224
    depth_features: dict[str, str] | None = None
    depth_unit: str = "mm"
    camera_intrinsics: dict[str, list[float]] | None = None
    geometry_dim: int = 512
    view_dim: int = 512
    memory: str = "dual"
    memory_frames: int = 4
    memory_stride: int | None = None
    memory_gradient_frames: int = 1
    memory_working: int = 8
    memory_episodic: int = 32
    memory_tau: float = 0.7
    memory_alpha: float = 0.5
    memory_heads: int = 8
    memory_hidden: int = 1024
    memory_pool_tokens: int = 0
    memory_store_dtype: str = "float32"
    new_lr_scale: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("residual_mode", RESIDUAL_MODES)
        self._one_of("geometry_encoder", ENCODERS)
        self._one_of("memory", MEMORIES)
        self._one_of("depth_unit", DEPTH_UNITS)
        self._one_of("memory_store_dtype", STORE_DTYPES)
        if self.memory_stride is None:
            self.memory_stride = self.n_action_steps
        sizes = ("memory_stride", "memory_gradient_frames", "memory_working", "memory_episodic")
        for name in (*sizes, "memory_heads", "memory_hidden", "geometry_dim", "view_dim"):
            if getattr(self, name) < 1:
                raise ZooError(f"{name} must be at least 1", got=getattr(self, name))
        if self.memory != "none" and self.memory_frames < 2:
            raise ZooError(
                "a memory that is trained on single moments learns nothing",
                got=f"memory_frames={self.memory_frames}",
                expected="at least 2",
                do="pass --policy.memory_frames=4, or --policy.memory=none",
            )
        if self.new_lr_scale <= 0:
            raise ZooError("new_lr_scale must be above 0", got=self.new_lr_scale)
        if not 0 <= self.memory_alpha <= 1:
            raise ZooError("memory_alpha is a share", got=self.memory_alpha, expected="0 to 1")
        side = round(self.memory_pool_tokens**0.5) if self.memory_pool_tokens >= 0 else -1
        if side**2 != self.memory_pool_tokens:
            raise ZooError(
                "memory_pool_tokens is no square of patches",
                got=self.memory_pool_tokens,
                expected="0 for all tokens, or 1, 4, 9, 16, 64, ...",
            )
        if self.memory_pool_tokens and self.memory not in ("dual", "none"):
            raise ZooError(
                f"memory={self.memory} stores no picture tokens that could be pooled",
                got=f"memory_pool_tokens={self.memory_pool_tokens}",
                expected="memory_pool_tokens=0",
            )

    @property
    def observation_delta_indices(self) -> list[int] | None:
        """Frames of the history, oldest first, the current one last; None without memory."""
        if self.memory == "none":
            return None
        assert self.memory_stride is not None, "resolved when the configuration was made"
        return [-self.memory_stride * back for back in range(self.memory_frames - 1, -1, -1)]

    @property
    def needs_depth(self) -> bool:
        """Whether recorded depth is an input."""
        return self.geometry_encoder == "depth"

    def validate_features(self) -> None:
        """Resolve cameras, depth and intrinsics as well.

        Raises:
            ZooError: As `pi05_comet`; a spatial camera that does not exist, one without depth or intrinsics
                where the geometry encoder needs them.
        """
        given: dict[str, PolicyFeature] = dict(self.input_features or {})
        super().validate_features()
        assert self.camera_order is not None
        if self.spatial_cameras is None:
            self.spatial_cameras = self.camera_order[:1]
        absent = [name for name in self.spatial_cameras if name not in self.camera_order]
        if absent or not self.spatial_cameras:
            raise ZooError(
                "spatial_cameras names cameras that this policy does not have",
                got=", ".join(absent) or "none",
                expected=f"some of {', '.join(self.camera_order)}",
            )
        if self.needs_depth:
            self.depth_features = self._depth_of_cameras(given)
            depths = {name: given[name] for name in self.depth_features.values()}
            self.input_features = dict(self.input_features or {}) | depths
        if self.geometry_encoder in NEEDS_INTRINSICS:
            self.camera_intrinsics = self._intrinsics_of_cameras()

    def _depth_of_cameras(self, features: dict[str, PolicyFeature]) -> dict[str, str]:
        depths = [k for k, f in features.items() if f.type is FeatureType.VISUAL and f.shape[0] == 1]
        named = self.depth_features or {}
        found: dict[str, str] = {}
        for camera in self.spatial_cameras or []:
            close = [key for key in depths if _without(key, "depth") == _without(camera, "rgb")]
            key = named.get(camera) or (close[0] if len(close) == 1 else None)
            if key not in depths:
                raise ZooError(
                    f"geometry_encoder=depth needs recorded depth of {camera}",
                    got=f"depth features {first_names(depths) or 'none'}",
                    expected="a picture feature of one channel, called like the camera with 'depth' in it",
                    do="convert the data with its depth (`lerobot-plugins convert behavior1k --depth=all`), "
                    f"name it: --policy.depth_features='{{{camera}: FEATURE}}', "
                    "or choose --policy.geometry_encoder=hf_depth",
                )
            found[camera] = key
        return found

    def _intrinsics_of_cameras(self) -> dict[str, list[float]]:
        known = r1pro.INTRINSICS | (self.camera_intrinsics or {})
        found = {}
        for camera in self.spatial_cameras or []:
            values = known.get(camera)
            if values is None or len(values) != 6 or 0 in values[:2] or min(values[4:]) <= 0:
                raise ZooError(
                    f"geometry_encoder={self.geometry_encoder} needs the intrinsics of {camera}",
                    got="unknown" if values is None else values,
                    expected="[fx, fy, cx, cy, width, height] in pixels of a picture of that size",
                    do=f"pass --policy.camera_intrinsics='{{{camera}: [306, 306, 360, 360, 720, 720]}}' with "
                    "your camera's numbers; for LIBERO `python -m lerobot_env_libero_depth` prints them",
                )
            found[camera] = [float(value) for value in values]
        return found


def _without(key: str, word: str) -> str:
    """A feature's name without one of its words: `observation.images.depth.head` is `...images.head`."""
    return "".join(part for part in key.replace("_", ".").split(".") if part != word)


def require_history(config: PI05CometVLM2Config, meta: Any) -> None:
    """Refuse training data that cannot give a history.

    Raises:
        ZooError: The dataset is streamed, or holds text under `observation.`.
    """
    if config.observation_delta_indices is None:
        return
    if (parser.parse_arg("dataset.streaming") or "").lower() in ("true", "1", "yes"):
        raise ZooError(
            "a memory is trained on earlier frames, and a streamed dataset has none to go back to",
            got="--dataset.streaming=true",
            expected="a dataset on disk",
            do="leave --dataset.streaming out, or pass --policy.memory=none",
        )
    text = [
        key
        for key, feature in getattr(meta, "features", {}).items()
        if key.startswith("observation.") and feature["dtype"] == "string"
    ]
    if text:
        raise ZooError(
            "LeRobot stacks the history of every observation, and text cannot be stacked",
            got=f"text columns {first_names(text)}",
            expected="numbers and pictures under observation.",
            do="remove the column: lerobot-edit-dataset --repo_id=... --operation.type=remove_feature "
            f"--operation.feature_names=\"['{text[0]}']\", or pass --policy.memory=none",
        )
