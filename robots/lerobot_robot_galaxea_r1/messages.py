"""The seven ROS 2 messages of the Galaxea robots as DDS knows them.

Written from the definitions of `std_msgs`, `geometry_msgs`, `sensor_msgs` and `builtin_interfaces` (ROS 2
Humble). Names of types are those that ROS 2 gives to DDS; members carry the names of the message definitions.
Bytes are compared with a ROS 2 encoder in the tests.

Imports `cyclonedds`: only the DDS transport imports this module.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cyclonedds.idl import IdlStruct

from lerobot_robot_galaxea_r1.cdr import CdrReader

if TYPE_CHECKING:  # what values these types have in Python
    float64 = float
    int32 = int
    uint8 = int
    uint32 = int
    Strings = list[str]
    Numbers = list[float]
    Matrix = list[float]
    Bytes = bytes
else:
    from cyclonedds.idl.types import array, float64, int32, sequence, uint8, uint32

    Strings = sequence[str]
    Numbers = sequence[float64]
    Matrix = array[float64, 9]
    Bytes = sequence[uint8]


def _zeros() -> list[float]:
    return [0.0] * 9


@dataclass
class Time(IdlStruct, typename="builtin_interfaces.msg.dds_.Time_"):
    """Seconds and nanoseconds since 1970, by the sender's clock."""

    sec: int32 = 0
    nanosec: uint32 = 0


@dataclass
class Header(IdlStruct, typename="std_msgs.msg.dds_.Header_"):
    """When something was measured, and in which frame."""

    stamp: Time = field(default_factory=Time)
    frame_id: str = ""


@dataclass
class Bool(IdlStruct, typename="std_msgs.msg.dds_.Bool_"):
    """One truth value."""

    data: bool = False


@dataclass
class JointState(IdlStruct, typename="sensor_msgs.msg.dds_.JointState_"):
    """Joints by index; `name`, `velocity` and `effort` may be empty."""

    header: Header = field(default_factory=Header)
    name: Strings = field(default_factory=list)
    position: Numbers = field(default_factory=list)
    velocity: Numbers = field(default_factory=list)
    effort: Numbers = field(default_factory=list)


@dataclass
class Vector3(IdlStruct, typename="geometry_msgs.msg.dds_.Vector3_"):
    """x, y, z."""

    x: float64 = 0.0
    y: float64 = 0.0
    z: float64 = 0.0


@dataclass
class Point(IdlStruct, typename="geometry_msgs.msg.dds_.Point_"):
    """x, y, z in metres."""

    x: float64 = 0.0
    y: float64 = 0.0
    z: float64 = 0.0


@dataclass
class Quaternion(IdlStruct, typename="geometry_msgs.msg.dds_.Quaternion_"):
    """x, y, z, w."""

    x: float64 = 0.0
    y: float64 = 0.0
    z: float64 = 0.0
    w: float64 = 1.0


@dataclass
class Twist(IdlStruct, typename="geometry_msgs.msg.dds_.Twist_"):
    """Velocities, m/s and rad/s."""

    linear: Vector3 = field(default_factory=Vector3)
    angular: Vector3 = field(default_factory=Vector3)


@dataclass
class TwistStamped(IdlStruct, typename="geometry_msgs.msg.dds_.TwistStamped_"):
    """Velocities and their time."""

    header: Header = field(default_factory=Header)
    twist: Twist = field(default_factory=Twist)


@dataclass
class Pose(IdlStruct, typename="geometry_msgs.msg.dds_.Pose_"):
    """Position and orientation."""

    position: Point = field(default_factory=Point)
    orientation: Quaternion = field(default_factory=Quaternion)


@dataclass
class PoseStamped(IdlStruct, typename="geometry_msgs.msg.dds_.PoseStamped_"):
    """A pose and its time."""

    header: Header = field(default_factory=Header)
    pose: Pose = field(default_factory=Pose)


@dataclass
class Imu(IdlStruct, typename="sensor_msgs.msg.dds_.Imu_"):
    """Orientation, rad/s and m/s^2 of an inertial unit; each covariance is a 3 x 3 matrix, row by row."""

    header: Header = field(default_factory=Header)
    orientation: Quaternion = field(default_factory=Quaternion)
    orientation_covariance: Matrix = field(default_factory=_zeros)
    angular_velocity: Vector3 = field(default_factory=Vector3)
    angular_velocity_covariance: Matrix = field(default_factory=_zeros)
    linear_acceleration: Vector3 = field(default_factory=Vector3)
    linear_acceleration_covariance: Matrix = field(default_factory=_zeros)


def _header(reader: CdrReader) -> Header:
    return Header(Time(reader.int32(), reader.uint32()), reader.string())


# Pictures have a decoder of their own: cyclonedds makes a list of integers of their bytes, which takes 0.2 s
# for the depth of one camera.


@dataclass
class Image(IdlStruct, typename="sensor_msgs.msg.dds_.Image_"):
    """A picture as plain pixels, `height` rows of `step` bytes."""

    header: Header = field(default_factory=Header)
    height: uint32 = 0
    width: uint32 = 0
    encoding: str = ""
    is_bigendian: uint8 = 0
    step: uint32 = 0
    data: Bytes = b""

    @classmethod
    def deserialize(cls, data: bytes, *args: Any, **kwargs: Any) -> Self:
        """Decode a received message; `data` of the result is `bytes`."""
        reader = CdrReader(data)
        return cls(
            _header(reader),
            reader.uint32(),
            reader.uint32(),
            reader.string(),
            reader.uint8(),
            reader.uint32(),
            reader.bytes(),
        )


@dataclass
class CompressedImage(IdlStruct, typename="sensor_msgs.msg.dds_.CompressedImage_"):
    """A picture as a file of the format that `format` names."""

    header: Header = field(default_factory=Header)
    format: str = ""
    data: Bytes = b""

    @classmethod
    def deserialize(cls, data: bytes, *args: Any, **kwargs: Any) -> Self:
        """Decode a received message; `data` of the result is `bytes`."""
        reader = CdrReader(data)
        return cls(_header(reader), reader.string(), reader.bytes())
