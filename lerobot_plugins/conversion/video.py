"""Videos as LeRobot stores them: each episode is encoded once, and a file is the concatenation of episodes.

Frame k of an episode that begins with the file's frame s is shown at exactly (s + k) / fps: packets carry
their times as integers in a time base that divides a frame, and are shifted by whole frames.

T frames; H, W, C height, width, channels.
"""

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import av.logging
import numpy as np

from lerobot_plugins.errors import ZooError


@dataclass(frozen=True)
class Encoding:
    """How pictures of one kind are encoded.

    Args:
        codec: libav's name of the encoder.
        pixel_format: What the video holds.
        input_format: What the pictures are: `rgb24` (H, W, 3) of uint8, or (H, W) of uint16.
        options: Of the encoder.
    """

    codec: str
    pixel_format: str
    input_format: str
    options: Mapping[str, str]


# LeRobot's own defaults (`RGBEncoderConfig`, `DepthEncoderConfig`; a test compares), with one thread for each
# encoder: episodes are encoded side by side, and the bytes must not depend on the machine.
COLOUR = Encoding(
    "libsvtav1",
    "yuv420p",
    "rgb24",
    {"g": "2", "crf": "30", "preset": "12", "svtav1-params": "fast-decode=0:lp=1"},
)
# Pictures in the order in which they are shown, so that episodes can be joined. Every one is a key frame,
# unlike LeRobot's: with 12 bits x265's lossless mode misses some pixels of noisy pictures that follow others.
_X265 = "lossless=1:bframes=0:pools=none:frame-threads=1:log-level=error"
DEPTH = Encoding("libx265", "gray12le", "gray12le", {"g": "1", "x265-params": _X265})

# The type of H.265's NAL unit, table 7-1 of the standard.
_CRA = 21


def encode(
    images_T: Iterable[np.ndarray], fps: int, shape: Sequence[int], path: Path, encoding: Encoding = COLOUR
) -> None:
    """Encode pictures of one shape (H, W, C) to an mp4 file.

    Raises:
        ZooError: The encoder refuses the pictures.
    """
    # SVT-AV1 writes its settings to stderr whenever it opens, unless this asks for errors only.
    os.environ.setdefault("SVT_LOG", "1")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoding.codec, fps, options=dict(encoding.options))
        stream.pix_fmt = encoding.pixel_format
        stream.height, stream.width = shape[:2]
        try:
            stream.open()
        except av.error.FFmpegError as error:
            raise ZooError(
                f"the video encoder {encoding.codec} refuses pictures of {shape[1]}x{shape[0]} pixels: "
                f"{error}",
                do="keep the source's pictures with --images jpeg, if it has any, or make larger ones",
            ) from error
        for image in images_T:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=encoding.input_format)))
        container.mux(stream.encode(None))


def cut(path: Path, start: float, length: int, fps: int, target: Path) -> None:
    """Copy an episode out of a video without encoding again; the inverse of `concatenate`.

    Only of H.265 that goes on at `start`, which decoders do not take apart from what it is joined to, are the
    pictures encoded again, as depth always is.

    Args:
        path: A video file of a dataset.
        start: When the episode begins in it, in seconds.
        length: Its number of frames.
        fps: The frame rate.
        target: The file to write.

    Raises:
        ZooError: The video has other frames there, or the episode does not begin with a key frame.
    """
    with av.open(str(path)) as clip:
        source = clip.streams.video[0]
        frame = 1 / (fps * source.time_base)
        first, end = (
            round(start / source.time_base - frame / 2),
            round(start / source.time_base + (length - 0.5) * frame),
        )
        clip.seek(max(round(start / source.time_base), 0), stream=source)
        packets = []
        for packet in clip.demux(source):
            if packet.dts is None or packet.dts >= end:
                break
            if first <= packet.pts < end:
                packets.append(packet)
        if len(packets) != length or not packets[0].is_keyframe:
            begins = "begins" if packets and packets[0].is_keyframe else "does not begin"
            raise ZooError(
                f"{path.name} has no episode of {length} frames at {start:.3f} s",
                got=f"{len(packets)} frames; it {begins} with a key frame",
                expected="what meta/episodes says, from a key frame on",
            )
        if source.codec_context.name == "hevc" and _goes_on(packets[0], source.codec_context.extradata):
            _encode_again(clip, range(first, end), fps, target)
            return
        with av.open(str(target), "w") as container:
            stream = container.add_stream_from_template(source, opaque=True)
            stream.time_base = source.time_base
            begin = min(packet.pts for packet in packets)
            for packet in packets:
                packet.pts -= begin
                packet.dts -= begin
                packet.stream = stream
                container.mux(packet)


def _goes_on(packet: av.Packet, configuration: bytes | None) -> bool:
    """Whether an H.265 key frame counts on from the pictures before it (CRA), unlike one that begins."""
    size = (configuration[21] & 3) + 1 if configuration and len(configuration) > 21 else 4
    content = bytes(packet)
    place = 0
    while place + size < len(content):
        if content[place + size] >> 1 & 0x3F == _CRA:
            return True
        place += size + int.from_bytes(content[place : place + size])
    return False


def _encode_again(clip: av.container.InputContainer, times: range, fps: int, target: Path) -> None:
    """Encode the pictures shown at these times of a video of depth, with the settings that made it."""
    source = clip.streams.video[0]
    clip.seek(times.start, stream=source)
    decoded = itertools.takewhile(lambda shown: shown.pts < times.stop, clip.decode(source))
    pictures = (shown.to_ndarray() for shown in decoded if shown.pts >= times.start)
    shape = (source.height, source.width, 1)
    if source.pix_fmt == DEPTH.pixel_format:
        encode(pictures, fps, shape, target, DEPTH)
        with av.open(str(target)) as made:
            if made.streams.video[0].codec_context.extradata == source.codec_context.extradata:
                return
        target.unlink()
    raise ZooError(
        "an H.265 video cannot be cut inside of an episode: it was not encoded as depth is here",
        got=f"{source.pix_fmt} of {Path(clip.name).name}",
        expected="videos of another codec, or depth that was converted by this project",
        do="repeat whole episodes, or leave this camera out of the dataset",
    )


def key_frame(path: Path, start: float, frame: int, fps: int) -> int:
    """The last frame of an episode, not after `frame`, at which its video can be cut.

    Args:
        path: A video file of a dataset.
        start: When the episode begins in it, in seconds, with a key frame.
        frame: A frame of the episode.
        fps: The frame rate.
    """
    with av.open(str(path)) as clip:
        source = clip.streams.video[0]
        # Half a frame later, so that rounding loses no frame.
        wanted = round((start + (frame + 0.5) / fps) / source.time_base)
        clip.seek(wanted, stream=source)
        # A seek may land before the last key frame.
        keys = []
        for packet in clip.demux(source):
            if packet.pts is None or packet.pts > wanted:
                break
            if packet.is_keyframe:
                keys.append(packet.pts)
        found = round((float(max(keys) * source.time_base) - start) * fps) if keys else 0
        return max(found, 0)


def concatenate(parts: Sequence[Path], lengths: Sequence[int], fps: int, path: Path) -> None:
    """Join videos without encoding again.

    Args:
        parts: Videos of `encode`.
        lengths: How many frames each of them has, which is verified.
        fps: Their frame rate.
        path: The file to write.
    """
    # libav announces the second pass of `faststart`, which moves the index to the beginning of the file.
    av.logging.set_libav_level(av.logging.WARNING)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = None
        start = 0
        for part, length in zip(parts, lengths, strict=True):
            with av.open(str(part)) as clip:
                source = clip.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(source, opaque=True)
                    stream.time_base = source.time_base
                packets = [packet for packet in clip.demux(source) if packet.dts is not None]
                if len(packets) != length:
                    raise ZooError(
                        f"{part} lost frames", got=len(packets), expected=length, do=f"delete {part.parent}"
                    )
                for packet in packets:
                    packet.pts += start
                    packet.dts += start
                    packet.stream = stream
                    target.mux(packet)
                start += round(length / (fps * source.time_base))
