"""The picture of one moment of a replay: cameras above, one strip per action dimension below.

A strip's time axis is the whole episode. What does not change is drawn once; each frame adds the newest
line segments to the same image and lays the latest chunk and the cursor over a copy. Lines are drawn at twice
the size and averaged down, which smooths them at a fraction of a plotting library's cost.

Shapes: T frames, A action dimensions, H steps of a chunk.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lerobot_env_dataset_replay.recording import RecordedEpisode
from lerobot_plugins.evaluation.episodes import Run

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SCALE = 2
CAMERA_HEIGHT, MIN_WIDTH, MIN_CELL, HEADER, LABEL, STRIP_HEIGHT, GAP = 256, 512, 160, 24, 14, 34, 6

PAPER, FRAME, TEXT, FAINT = (255, 255, 255), (222, 222, 222), (40, 40, 40), (205, 205, 205)
RECORDED, PREDICTED, CHUNK = (70, 70, 70), (213, 94, 0), (0, 114, 178)


class EpisodeCanvas:
    """Draws the frames of one episode in order.

    Args:
        recorded: The episode.
        run: Names and ranges of the action dimensions.
    """

    def __init__(self, recorded: RecordedEpisode, run: Run) -> None:
        self._recorded, self._run = recorded, run
        self._width = 0
        self._drawn = 0

    def draw(
        self,
        cameras: Sequence[np.ndarray],
        frame: int,
        predicted_TA: np.ndarray,
        chunks: Sequence[tuple[int, np.ndarray]],
    ) -> np.ndarray:
        """The picture at a frame.

        Args:
            cameras: The images at this frame, each (H, W, C) uint8; may be empty.
            frame: Frames before this one have a predicted action.
            predicted_TA: Executed actions; NaN where there is none.
            chunks: (first frame, (H, A) actions) of the published chunks; the last one is drawn.

        Returns:
            (height, width, 3) uint8, of the same even size for all frames.
        """
        top = side_by_side(cameras, CAMERA_HEIGHT) if cameras else np.zeros((0, MIN_WIDTH, 3), np.uint8)
        if not self._width:
            self._lay_out(max(MIN_WIDTH, top.shape[1]))
        executed = frame + (0 if np.isnan(predicted_TA[frame]).all() else 1)
        self._extend(executed, predicted_TA)
        picture = Image.new("RGB", (self._width, HEADER + top.shape[0] + self._strips.height // SCALE), PAPER)
        self._write_header(picture, frame)
        picture.paste(Image.fromarray(top), ((self._width - top.shape[1]) // 2, HEADER))
        picture.paste(self._strips_at(frame, chunks).reduce(SCALE), (0, HEADER + top.shape[0]))
        return np.asarray(picture)

    def _lay_out(self, width: int) -> None:
        """Place the strips and draw what does not change."""
        names = self._run.action_names
        columns = 1 if len(names) <= 3 else 2 if len(names) <= 16 else 4
        rows = -(-len(names) // columns)
        width = max(width, columns * MIN_CELL)
        self._width = width + width % 2
        cell, row_height = (self._width - GAP * (columns + 1)) // columns, LABEL + STRIP_HEIGHT + GAP
        height = rows * row_height + GAP
        self._strips = Image.new("RGB", (self._width * SCALE, (height + height % 2) * SCALE), PAPER)
        pen, font = ImageDraw.Draw(self._strips), _font(11 * SCALE)
        # Column by column, so that dimensions that belong together stay below each other.
        corners = [(GAP + d // rows * (cell + GAP), GAP + d % rows * row_height) for d in range(len(names))]
        self._box_A = [
            (x * SCALE, (y + LABEL) * SCALE, cell * SCALE, STRIP_HEIGHT * SCALE) for x, y in corners
        ]
        margin_A = 0.1 * np.maximum(np.subtract(self._run.action_max, self._run.action_min), 1e-3)
        self._low_A = np.asarray(self._run.action_min) - margin_A
        self._high_A = np.asarray(self._run.action_max) + margin_A
        for d, (x, y, box_width, box_height) in enumerate(self._box_A):
            pen.text((x, y - LABEL * SCALE), _fitted(names[d], font, box_width), font=font, fill=TEXT)
            pen.rectangle((x, y, x + box_width, y + box_height), outline=FRAME, width=SCALE)
            self._line(pen, d, 0, self._recorded.action_TA, FAINT, 2)

    def _extend(self, executed: int, predicted_TA: np.ndarray) -> None:
        """Add the segments of the frames executed since the last picture."""
        if executed <= self._drawn:
            return
        first = max(0, self._drawn - 1)
        pen = ImageDraw.Draw(self._strips)
        for d in range(len(self._box_A)):
            self._line(pen, d, first, self._recorded.action_TA[first:executed], RECORDED, 3)
            self._line(pen, d, first, predicted_TA[first:executed], PREDICTED, 3)
        self._drawn = executed

    def _strips_at(self, frame: int, chunks: Sequence[tuple[int, np.ndarray]]) -> Image.Image:
        strips = self._strips.copy()
        pen = ImageDraw.Draw(strips)
        for d, (x, y, width, height) in enumerate(self._box_A):
            cursor = x + width * frame / max(1, len(self._recorded) - 1)
            pen.line((cursor, y, cursor, y + height), fill=FAINT, width=2)
            if chunks:
                start, chunk_HA = chunks[-1]
                self._line(pen, d, start, chunk_HA[: len(self._recorded) - start], CHUNK, 3)
        return strips

    def _line(
        self, pen: ImageDraw.ImageDraw, d: int, first: int, values_TA: np.ndarray, color: tuple, width: int
    ) -> None:
        """Draw one dimension from a frame on, leaving out what is not finite and clipping to the strip."""
        x, y, box_width, box_height = self._box_A[d]
        share_T = np.clip((values_TA[:, d] - self._low_A[d]) / (self._high_A[d] - self._low_A[d]), 0, 1)
        x_T = x + box_width * (first + np.arange(len(share_T))) / max(1, len(self._recorded) - 1)
        y_T = y + box_height * (1 - share_T)
        keep_T = np.isfinite(y_T)
        points = np.stack([x_T[keep_T], y_T[keep_T]], axis=1)
        if len(points) > 1:
            pen.line(points.ravel().tolist(), fill=color, width=width, joint="curve")

    def _write_header(self, picture: Image.Image, frame: int) -> None:
        pen, font = ImageDraw.Draw(picture), _font(12)
        right = float(self._width - GAP)
        for label, color in (("chunk", CHUNK), ("predicted", PREDICTED), ("recorded", RECORDED)):
            right -= font.getlength(label)
            pen.text((right, 4), label, font=font, fill=color)
            right -= 12
        text = f"{self._recorded.index}: {frame + 1}/{len(self._recorded)}  {self._recorded.task_T[frame]}"
        pen.text((GAP, 4), _fitted(text, font, right - GAP), font=font, fill=TEXT)


def side_by_side(cameras: Sequence[np.ndarray], height: int) -> np.ndarray:
    """Camera images, (H, W, C) uint8, scaled to one height and joined: (height, width, 3) uint8."""
    return np.concatenate([_scaled(camera, height) for camera in cameras], axis=1)


def _scaled(camera: np.ndarray, height: int) -> np.ndarray:
    rgb = np.repeat(camera, 3, axis=2) if camera.shape[2] == 1 else camera[:, :, :3]
    if rgb.shape[0] == height:
        return rgb
    size = (max(1, round(rgb.shape[1] * height / rgb.shape[0])), height)
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))


@cache
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


@cache
def _fitted(text: str, font: Font, width: float) -> str:
    """The text, or as much of its beginning as fits."""
    if font.getlength(text) <= width:
        return text
    length = next((n for n in range(len(text), 0, -1) if font.getlength(text[:n] + "…") <= width), 0)
    return text[:length].rstrip() + "…"
