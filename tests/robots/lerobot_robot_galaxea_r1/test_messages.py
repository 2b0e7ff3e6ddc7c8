"""The messages' bytes, compared with rosbags, another ROS 2 encoder."""

import struct
from typing import Any

import pytest

pytest.importorskip("cyclonedds")
pytest.importorskip("rosbags")

from ros2_messages import from_cdr, to_cdr

from lerobot_robot_galaxea_r1 import messages

FRAMES = ("", "a", "ab", "abc", "base_link")  # each shifts what comes after it differently


def header(frame: str) -> dict[str, Any]:
    return {"stamp": {"sec": 1_700_000_001, "nanosec": 999_999_999}, "frame_id": frame}


def samples(frame: str) -> dict[str, dict[str, Any]]:
    """A message of each type, no two numbers alike."""
    xyz = [{"x": 0.1 + i, "y": -0.2 - i, "z": 0.3 + i} for i in range(4)]
    quaternion = {"x": 0.5, "y": -0.5, "z": 0.25, "w": 0.75}
    return {
        "sensor_msgs/JointState": {
            "header": header(frame),
            "name": ["left_arm_joint1", "", "j"],
            "position": [0.1, -2.0, 3.5],
            "velocity": [],
            "effort": [1e-300],
        },
        "geometry_msgs/TwistStamped": {
            "header": header(frame),
            "twist": {"linear": xyz[0], "angular": xyz[1]},
        },
        "geometry_msgs/PoseStamped": {
            "header": header(frame),
            "pose": {"position": xyz[0], "orientation": quaternion},
        },
        "sensor_msgs/Imu": {
            "header": header(frame),
            "orientation": quaternion,
            "orientation_covariance": [float(i) for i in range(9)],
            "angular_velocity": xyz[2],
            "angular_velocity_covariance": [float(-i) for i in range(9)],
            "linear_acceleration": xyz[3],
            "linear_acceleration_covariance": [i / 7 for i in range(9)],
        },
        "sensor_msgs/Image": {
            "header": header(frame),
            "height": 2,
            "width": 3,
            "encoding": "16UC1",
            "is_bigendian": 0,
            "step": 6,
            "data": bytes(range(12)),
        },
        "sensor_msgs/CompressedImage": {
            "header": header(frame),
            "format": "jpeg",
            "data": b"\xff\xd8\xff\x00\x01",
        },
        "std_msgs/Bool": {"data": True},
    }


def built(type_name: str, message: dict[str, Any]) -> Any:
    """The plugin's message with the contents of a dictionary."""
    vector, quaternion = messages.Vector3, messages.Quaternion
    nested = {
        "header": lambda h: messages.Header(messages.Time(**h["stamp"]), h["frame_id"]),
        "twist": lambda t: messages.Twist(vector(**t["linear"]), vector(**t["angular"])),
        "pose": lambda p: messages.Pose(messages.Point(**p["position"]), quaternion(**p["orientation"])),
        "orientation": lambda q: quaternion(**q),
        "angular_velocity": lambda v: vector(**v),
        "linear_acceleration": lambda v: vector(**v),
    }
    fields = {name: nested.get(name, lambda value: value)(value) for name, value in message.items()}
    return getattr(messages, type_name.split("/")[1])(**fields)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("type_name", samples(""))
def test_bytes_are_those_of_ros_2(type_name: str, frame: str):
    message = samples(frame)[type_name]
    made = built(type_name, message)
    encoded = made.serialize(use_version_2=False)
    assert encoded == to_cdr(type_name, message)
    assert type(made).deserialize(to_cdr(type_name, message)) == made


@pytest.mark.parametrize("type_name", samples(""))
def test_a_ros_2_decoder_reads_what_is_sent(type_name: str):
    message = samples("torso")[type_name]
    read = from_cdr(type_name, built(type_name, message).serialize(use_version_2=False))
    if "data" in message and not isinstance(message["data"], bool):
        read["data"] = bytes(read["data"])
    assert read == message


def test_types_have_the_names_that_ros_2_gives_them():
    assert messages.JointState.__idl_typename__.replace(".", "::") == "sensor_msgs::msg::dds_::JointState_"
    for type_name in samples(""):
        package, name = type_name.split("/")
        assert getattr(messages, name).__idl_typename__ == f"{package}.msg.dds_.{name}_"


def test_pictures_of_the_other_byte_order_are_read():
    jpeg = samples("abc")["sensor_msgs/CompressedImage"]["data"]
    stamp = (1_700_000_001, 999_999_999)
    body = struct.pack(">iI I4s I5s3x I5s", *stamp, 4, b"abc\0", 5, b"jpeg\0", 5, jpeg)
    read = messages.CompressedImage.deserialize(b"\0\0\0\0" + body)
    assert (read.header.frame_id, read.header.stamp.nanosec) == ("abc", 999_999_999)
    assert (read.format, read.data) == ("jpeg", jpeg)
