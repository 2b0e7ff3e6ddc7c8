"""Small BEHAVIOR-1K demonstrations in the real layout: tables, H.265 and depth videos, annotations."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_dataset_behavior1k.depth import encode_depth
from lerobot_dataset_behavior1k.palettes import palette
from lerobot_plugins.contracts.r1pro import PROPRIOCEPTION

FPS = 30
CAMERAS = ("head", "left_wrist", "right_wrist")
# Ids in the order of the palette and where they lie; one has no place.
INSTANCES = {
    300: "/World/scene_0/radio_89/base_link/visuals",
    0: "background",
    1: "unlabelled",
    65535: "/World/scene_0/coffee_table_koagbh_0/base_link",
    17: "/World/scene_0/robot_r1/torso",
    40001: "",
    256: "/World/scene_0/walls_0/base_link",
    2: "/World/scene_0/floors_0/base_link",
    9: "/World/scene_0/sofa_1/base_link",
    10: "/World/scene_0/sofa_2/base_link",
}
EPISODES = (10, 30, 490020)
TASKS = {
    0: ("turning_on_radio", "Turn on the radio receiver that's on the table in the living room."),
    1: ("picking_up_trash", "Pick up the cans from the floor and put them into the ashcan."),
    49: ("make_pizza", "Make a pizza and put it on the plate."),
}
# How the simulator's recordings are made, and one with all 16 bits (libav writes no 16-bit HEVC).
DEPTH_CODECS = {
    "yuv420p12le": ("libx265", {"x265-params": "lossless=1:log-level=none"}),
    "yuv420p10le": ("libx265", {"x265-params": "lossless=1:log-level=none"}),
    "gray16le": ("ffv1", {}),
}


def write_sample(
    root: Path,
    episodes: Sequence[int] = EPISODES,
    frames: int = 20,
    size: int = 64,
    head_size: int | None = None,
    depth: str | None = None,
    annotations: Mapping[int, Any] | None = None,
    segmentation: bool = False,
) -> Path:
    """Write demonstrations and return their folder.

    Args:
        root: The folder to make.
        episodes: Their numbers; the task of each must be one of `TASKS`.
        frames: The length of the first episode, at least 3; each further one is a frame longer.
        size: Pixels of the wrist cameras, which are square.
        head_size: Pixels of the head camera; as the wrist cameras' if None.
        depth: Pixel format of depth videos (see `DEPTH_CODECS`); None writes none.
        segmentation: Whether to write videos of instance ids, which info.json always names.
        annotations: The annotation of each episode; `annotation()` where it has none.
    """
    # With fewer pictures than it looks ahead for B-frames, x265 gives times from memory nobody wrote.
    assert frames >= 3, f"{frames} frames are too few for x265's times"
    sizes = dict.fromkeys(CAMERAS, size) | {"head": head_size or size}
    lengths = {episode: frames + place for place, episode in enumerate(episodes)}
    for episode, length in lengths.items():
        task = f"task-{episode // 10000:04d}"
        name = f"episode_{episode:08d}"
        write_table(root / "data" / task / f"{name}.parquet", episode, length)
        for camera in CAMERAS:
            folder = root / "videos" / task
            pictures = colours(episode, length, sizes[camera], CAMERAS.index(camera))
            write_video(folder / f"observation.images.rgb.{camera}" / f"{name}.mp4", pictures)
            if depth is not None:
                codec, options = DEPTH_CODECS[depth]
                codes = (encode_depth(metres) for metres in depths(episode, length, sizes[camera]))
                path = folder / f"observation.images.depth.{camera}" / f"{name}.mp4"
                write_video(path, codes, "gray16le", codec, depth, options)
            if segmentation:
                path = folder / f"observation.images.seg_instance_id.{camera}" / f"{name}.mp4"
                write_segmentation(path, instances(episode, length, sizes[camera]))
        if segmentation:
            write_json(root / "meta/episodes" / task / f"{name}.json", description())
        content = (annotations or {}).get(episode, annotation(length))
        write_json(root / "annotations" / task / f"{name}.json", content)
    write_meta(root, lengths, sizes, depth)
    return root


def proprioception(episode: int, length: int) -> np.ndarray:
    """Smooth numbers of plausible size, float32 (T, 256)."""
    generator = np.random.default_rng(episode)
    phase, speed = generator.uniform(0, 6, 256), generator.uniform(0.02, 0.1, 256)
    values_TP = 0.8 * np.sin(phase + speed * np.arange(length)[:, None])
    for fingers in ("gripper_left_qpos", "gripper_right_qpos"):
        values_TP[:, PROPRIOCEPTION[fingers]] = 0.025 + 0.02 * values_TP[:, PROPRIOCEPTION[fingers]]
    return values_TP.astype(np.float32)


def actions(episode: int, length: int) -> np.ndarray:
    """Targets a few frames ahead of the joints, grippers open or closed, float32 (T, 23)."""
    ahead_TP = proprioception(episode, length + 5)[5:]
    parts = [
        ahead_TP[:, PROPRIOCEPTION["base_qvel"]] * 0.75,
        ahead_TP[:, PROPRIOCEPTION["trunk_qpos"]],
        ahead_TP[:, PROPRIOCEPTION["arm_left_qpos"]],
        np.sign(ahead_TP[:, [193]] - 0.025),
        ahead_TP[:, PROPRIOCEPTION["arm_right_qpos"]],
        np.sign(ahead_TP[:, [232]] - 0.025),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def colours(episode: int, length: int, size: int, camera: int) -> Iterable[np.ndarray]:
    """A bright square that moves over a shaded floor, uint8 (H, W, 3)."""
    rows, columns = np.mgrid[:size, :size] * 255 // size
    floor = np.stack([rows, columns, np.full_like(rows, 60 * camera + 40)], axis=-1).astype(np.uint8)
    for frame in range(length):
        picture = floor.copy()
        left = (episode + 2 * frame) % (size // 2)
        picture[size // 4 : size // 2, left : left + size // 4] = (240, 200 - 60 * camera, 20)
        yield picture


def depths(episode: int, length: int, size: int) -> Iterable[np.ndarray]:
    """A floor that falls away from 0.4 to 9 metres, float32 (H, W)."""
    rows, columns = np.mgrid[:size, :size] / size
    for frame in range(length):
        yield (0.4 + 8 * rows + 0.5 * columns + 0.005 * (frame + episode % 10)).astype(np.float32)


def instances(episode: int, length: int, size: int) -> Iterable[np.ndarray]:
    """Blocks of ids that move by one pixel a frame, uint16 (H, W)."""
    rows, columns = np.mgrid[:size, :size] // 8
    for frame in range(length):
        places = (rows * 3 + columns + episode) % len(INSTANCES)
        yield np.roll(np.array(list(INSTANCES), np.uint16)[places], frame, axis=1)


def write_segmentation(path: Path, pictures: Iterable[np.ndarray], pixel_format: str = "yuv444p") -> None:
    """Paint ids in the colours of their palette, as the simulator's recorder does."""
    ids = np.array(list(INSTANCES))
    order = np.argsort(ids)
    colours_NC = palette(len(ids))[order]
    painted = (colours_NC[np.searchsorted(ids[order], ids_HW)] for ids_HW in pictures)
    write_video(path, painted, pixel_format=pixel_format)


def description() -> dict[str, Any]:
    """What the simulator says of an episode: the instances of the scene and those that each camera saw."""
    links = ("zed_link", "left_realsense_link", "right_realsense_link")
    seen = {f"robot_r1::robot_r1:{link}:Camera:0::unique_ins_ids": list(INSTANCES) for link in links}
    named = {number: place for number, place in INSTANCES.items() if place} | {7: "/World/scene_0/unseen_1/x"}
    return seen | {"ins_id_mapping": json.dumps(named)}


def write_table(path: Path, episode: int, length: int, **replaced: Any) -> None:
    """An episode's parquet file; `replaced` columns are arrow arrays, None leaves one out."""
    times = np.arange(length)
    columns: dict[str, Any] = {
        "index": pa.array(times),
        "episode_index": pa.array(np.full(length, episode)),
        "task_index": pa.array(np.full(length, episode // 10000)),
        "timestamp": pa.array(times / FPS),
        "observation.state": pa.array(list(proprioception(episode, length))),
        "observation.cam_rel_poses": pa.array(list(np.zeros((length, 21), np.float32))),
        "observation.task_info": pa.array([[0.5] * (1 + episode % 3)] * length),
        "action": pa.array(list(actions(episode, length))),
    } | replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({key: column for key, column in columns.items() if column is not None}), path)


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    picture_format: str = "rgb24",
    codec: str = "libx265",
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
) -> None:
    """Encode pictures as the simulator's recorder does; the container of FFV1 is Matroska."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour_options = {"g": "250", "crf": "14", "x265-params": "log-level=none"}
    chosen = dict(colour_options if options is None else options)
    with av.open(str(path), "w", format="matroska" if codec == "ffv1" else "mp4") as container:
        stream = container.add_stream(codec, FPS, options=chosen if codec == "libx265" or options else {})
        stream.pix_fmt = pixel_format
        for picture in pictures:
            stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format=picture_format)))
        container.mux(stream.encode(None))


def annotation(length: int) -> dict[str, Any]:
    """An annotation in the real form: a gap in front, neighbours that share a frame, a nested duration."""
    third = length // 3
    skills = [
        ("move to", [["radio_89"]], [2, third]),
        (
            "pick up from",
            [["radio_89", "coffee_table_koagbh_0"]],
            [[third, third + 2], [third + 3, 2 * third]],
        ),
        ("press", [["radio_89"]], [2 * third + 1, length]),
    ]
    entries = [
        {
            "skill_idx": number,
            "skill_id": [number],
            "skill_description": [verb],
            "object_id": objects,
            "manipulating_object_id": [],
            "memory_prefix": [],
            "spatial_prefix": [],
            "frame_duration": duration,
            "mp_ef": [],
            "skill_type": ["uncoordinated"],
        }
        for number, (verb, objects, duration) in enumerate(skills)
    ]
    return {
        "task_name": "turning on radio",
        "data_folder": "",
        "meta_data": {"task_duration": length, "valid_duration": [0, length]},
        "skill_annotation": entries,
        "primitive_annotation": [
            {
                "primitive_idx": 0,
                "primitive_description": ["pick up from", "press"],
                "object_id": [["radio_89", "coffee_table_koagbh_0"], ["radio_89"]],
                "frame_duration": [0, length],
                "skill_idxes": [0, 1, 2],
            }
        ],
    }


def write_meta(root: Path, lengths: Mapping[int, int], sizes: Mapping[str, int], depth: str | None) -> None:
    """info.json, tasks.jsonl, episodes.jsonl, and the simulator's own description of each episode."""
    features: dict[str, Any] = {
        "observation.state": {"dtype": "float32", "shape": [256], "names": None},
        "observation.cam_rel_poses": {"dtype": "float32", "shape": [21], "names": None},
        "observation.task_info": {"dtype": "float32", "shape": [None], "names": None},
        "action": {"dtype": "float32", "shape": [23], "names": None},
    }
    for camera, size in sizes.items():
        kinds = ("rgb", "seg_instance_id") if depth is None else ("rgb", "depth", "seg_instance_id")
        for kind in kinds:
            features[f"observation.images.{kind}.{camera}"] = {
                "dtype": "video",
                "shape": [size, size, 3],
                "names": ["height", "width", "rgb"],
            }
    info = {
        "codebase_version": "v2.1",
        "robot_type": "R1Pro",
        "fps": FPS,
        "chunks_size": 10000,
        "total_episodes": len(lengths),
        "data_path": "data/task-{episode_chunk:04d}/episode_{episode_index:08d}.parquet",
        "video_path": "videos/task-{episode_chunk:04d}/{video_key}/episode_{episode_index:08d}.mp4",
        "features": features,
    }
    write_json(root / "meta/info.json", info)
    tasks = [{"task_index": index, "task_name": name, "task": text} for index, (name, text) in TASKS.items()]
    rows = [
        {"episode_index": episode, "tasks": [TASKS[episode // 10000][1]], "length": length}
        for episode, length in lengths.items()
    ]
    for name, lines in (("tasks", tasks), ("episodes", rows)):
        (root / f"meta/{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))
