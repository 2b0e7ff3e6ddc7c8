"""The pictures of a batch, as a policy's vision tower wants them."""

import logging
from typing import Any

from torch import Tensor

from lerobot_plugins.errors import ZooError, first_names
from lerobot_plugins.nn.images import check_unit_range, prepare_images

logger = logging.getLogger(__name__)


class CameraPictures:
    """Takes a policy's cameras from a batch, in their order, resized and scaled.

    Args:
        cameras: Feature names in the order the network sees them.
        size: Side of the square pictures in pixels.
        mode: `stretch` or `pad`, see `prepare_images`.
        interpolation: `bicubic` or `bilinear`.
        allow_missing: Act without cameras that are not there; training always needs all of them.
    """

    def __init__(
        self, cameras: list[str], size: int, mode: str, interpolation: str, allow_missing: bool
    ) -> None:
        self._cameras = cameras
        self._how = (size, mode, interpolation)
        self._allow_missing = allow_missing
        self._range_checked = False
        self._absence_logged = False

    def __call__(self, batch: dict[str, Any], training: bool) -> dict[str, Tensor]:
        """Camera name -> (B, C, size, size) float32 in [-1, 1], for the cameras that are there.

        A missing camera that is allowed is left out, which the network cannot tell from a masked one.

        Raises:
            ZooError: No camera at all, one missing that must not be, or pictures that are not in [0, 1].
        """
        present = [name for name in self._cameras if name in batch]
        absent = [name for name in self._cameras if name not in batch]
        if not present or (absent and (training or not self._allow_missing)):
            acting = (
                ""
                if training or not present
                else ", or act without them: --policy.allow_missing_cameras=true"
            )
            raise ZooError(
                "the batch lacks cameras of this policy",
                got=f"no {first_names(absent)}",
                expected=", ".join(self._cameras),
                do="map other names with --rename_map, or train with another --policy.camera_order" + acting,
            )
        if absent and not self._absence_logged:
            logger.warning("no picture of %s: the policy acts without it", ", ".join(absent))
            self._absence_logged = True
        if not self._range_checked:
            # Once: what feeds the policy does not change, and the check waits for the device.
            for name in present:
                check_unit_range(batch[name], name)
            self._range_checked = True
        return self.resized({name: _latest(batch[name]) for name in present})

    def resized(self, images_BCHW: dict[str, Tensor]) -> dict[str, Tensor]:
        """Pictures (B, C, H, W) in [0, 1] as the vision tower wants them."""
        return {name: prepare_images(image, *self._how) for name, image in images_BCHW.items()}


def _latest(image: Tensor) -> Tensor:
    """(B, C, H, W) of pictures that may carry a time dimension."""
    return image[:, -1] if image.ndim == 5 else image
