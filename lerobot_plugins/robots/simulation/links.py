"""The vocabulary in which a robot's body is told.

All frames are parallel to the base's when every joint is at 0: a link is where its joint lies and around what
it turns, so that tables need no rotations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

Vector = tuple[float, float, float]
X: Vector = (1.0, 0.0, 0.0)
Y: Vector = (0.0, 1.0, 0.0)
Z: Vector = (0.0, 0.0, 1.0)
ORIGIN: Vector = (0.0, 0.0, 0.0)
MIRROR: Vector = (1.0, -1.0, 1.0)

#: The link that carries all others; the planar base stands under it.
TRUNK, GROUND = "trunk", "ground"


@dataclass(frozen=True)
class Shape:
    """A visible piece: a MuJoCo primitive in its link's frame, metres.

    Args:
        kind: `capsule`, `cylinder`, `box`, `ellipsoid` or `sphere`.
        at: Centre; with `to`, the start.
        size: Radius; half sizes of a box or ellipsoid.
        colour: Name in the robot's palette.
        to: End of a capsule or cylinder.
    """

    kind: str
    at: Vector
    size: tuple[float, ...]
    colour: str
    to: Vector | None = None


def tube(to: Vector, radius: float, colour: str = "body", at: Vector = ORIGIN) -> Shape:
    """A capsule from `at` to `to`."""
    return Shape("capsule", at, (radius,), colour, to)


def drum(at: Vector, to: Vector, radius: float, colour: str = "joint") -> Shape:
    """A cylinder from `at` to `to`."""
    return Shape("cylinder", at, (radius,), colour, to)


def block(at: Vector, half: Vector, colour: str = "body") -> Shape:
    """A box around `at`."""
    return Shape("box", at, half, colour)


def egg(at: Vector, half: Vector, colour: str = "body") -> Shape:
    """An ellipsoid around `at`."""
    return Shape("ellipsoid", at, half, colour)


def ball(at: Vector, radius: float, colour: str = "joint") -> Shape:
    """A sphere around `at`."""
    return Shape("sphere", at, (radius,), colour)


@dataclass(frozen=True)
class Link:
    """A rigid piece and the joint by which it hangs on another.

    Args:
        joint: The joint's name, which is the link's too.
        parent: The link that carries it.
        xyz: The joint's place in the parent's frame, metres.
        axis: What it turns around (or slides along).
        mass: In kg.
        shapes: What it looks like; the first one has the mass.
        slides: Whether it slides instead of turning.
        mimics: A joint that it follows, and how many times as far; then it has no motor.
    """

    joint: str
    parent: str
    xyz: Vector
    axis: Vector
    mass: float
    shapes: tuple[Shape, ...]
    slides: bool = False
    mimics: tuple[str, float] | None = None


class Motor(NamedTuple):
    """What drives a joint: its largest torque in N m (force in N), and how fast it turns without a load."""

    effort: float
    speed: float


@dataclass(frozen=True)
class Eye:
    """A camera in its link's frame.

    Args:
        link: What it is fixed to.
        xyz: Where.
        forward: Where it looks.
        up: What is up in its picture.
        fovy: Vertical field of view, degrees.
    """

    link: str
    xyz: Vector
    forward: Vector
    fovy: float
    up: Vector = Z


@dataclass(frozen=True)
class Body:
    """A robot's body.

    Args:
        trunk_z: Height of the trunk's origin over the floor.
        trunk_mass: In kg.
        trunk: Shapes of the trunk, the first with its mass.
        ground: Shapes that stand on the floor and turn with the base, but neither rise nor pitch.
        ground_mass: Their mass in kg.
        links: All others, carriers first.
        motors: Joint -> its motor.
        home: Joint -> angle in which the robot wakes; 0 where not named.
        eyes: Camera's name -> where it is.
        imu: Place of the inertial unit in the trunk's frame.
        grippers: Signal's name without suffix -> the finger it drives and the metres of a whole stroke.
        rises: Whether the trunk rises and pitches over the ground: (lowest, highest) metres and radians.
        palette: Colour's name -> red, green, blue, 0 to 1.
        table_xz: Distance of the table's middle and height of its top.
    """

    trunk_z: float
    trunk_mass: float
    trunk: tuple[Shape, ...]
    links: tuple[Link, ...]
    motors: Mapping[str, Motor]
    home: Mapping[str, float]
    eyes: Mapping[str, Eye]
    palette: Mapping[str, Vector]
    ground: tuple[Shape, ...] = ()
    ground_mass: float = 0.0
    imu: Vector = ORIGIN
    grippers: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    rises: tuple[tuple[float, float], tuple[float, float]] | None = None
    table_xz: tuple[float, float] = (0.75, 0.75)

    def link(self, joint: str) -> Link:
        """The link behind a joint."""
        return next(link for link in self.links if link.joint == joint)


def other_side(links: Iterable[Link], axes: Vector, places: Vector = MIRROR) -> tuple[Link, ...]:
    """The right arm's or hand's links from the left one's.

    Args:
        links: Named `left_...` or `L_...`.
        axes: Factors of all axes: what the robot's maker chose as positive on the right.
        places: Factors of all places; by default mirrored.
    """
    return tuple(
        replace(
            link,
            joint=right(link.joint),
            parent=right(link.parent),
            xyz=times(link.xyz, places),
            axis=times(link.axis, axes),
            shapes=tuple(_moved(shape, places) for shape in link.shapes),
            mimics=link.mimics and (right(link.mimics[0]), link.mimics[1]),
        )
        for link in links
    )


def right(name: str) -> str:
    """The right part's name from the left one's."""
    return name.replace("left_", "right_").replace("L_", "R_")


def times(vector: Vector, factors: Vector) -> Vector:
    """The products, coordinate by coordinate."""
    x, y, z = (value * factor for value, factor in zip(vector, factors, strict=True))
    return x, y, z


def _moved(shape: Shape, places: Vector) -> Shape:
    return replace(shape, at=times(shape.at, places), to=shape.to and times(shape.to, places))
