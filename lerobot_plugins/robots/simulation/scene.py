"""What stands around a simulated robot, so that its cameras see something: floor, light, table, objects."""

from xml.etree.ElementTree import Element, SubElement

#: Edge of the red cube on the table, metres.
CUBE_M = 0.06
#: The view from outside, a camera of the world.
OUTSIDE = "outside"

_TABLE_HALF = (0.28, 0.55, 0.02)
# Name -> kind, place on the table from its middle (z from its top), size, colour.
_OBJECTS = {
    "red_cube": ("box", (-0.1, 0.1, CUBE_M / 2), (CUBE_M / 2,) * 3, (0.85, 0.12, 0.1)),
    "green_bottle": ("cylinder", (-0.05, -0.12, 0.08), (0.03, 0.08), (0.1, 0.6, 0.25)),
    "blue_ball": ("sphere", (0.05, 0.28, 0.045), (0.045,), (0.1, 0.3, 0.85)),
    "yellow_box": ("box", (0.1, 0.0, 0.03), (0.05, 0.09, 0.03), (0.95, 0.75, 0.1)),
    "white_bowl": ("ellipsoid", (0.0, -0.32, 0.02), (0.08, 0.08, 0.03), (0.95, 0.95, 0.92)),
}


def numbers(*values: float) -> str:
    """Numbers as MJCF writes them."""
    return " ".join(f"{value:.6g}" for value in values)


def furnish(root: Element, world: Element, table_xz: tuple[float, float]) -> None:
    """Add floor, sky, light, table, objects and the view from outside.

    Args:
        root: The `mujoco` element.
        world: Its `worldbody`.
        table_xz: Distance of the table's middle and height of its top, metres.
    """
    asset = SubElement(root, "asset")
    SubElement(
        asset,
        "texture",
        type="skybox",
        builtin="gradient",
        rgb1="0.78 0.84 0.9",
        rgb2="0.5 0.56 0.63",
        width="16",
        height="96",
    )
    SubElement(
        asset,
        "texture",
        name="floor",
        type="2d",
        builtin="checker",
        rgb1="0.58 0.57 0.55",
        rgb2="0.52 0.51 0.49",
        width="32",
        height="32",
    )
    SubElement(asset, "material", name="floor", texture="floor", texrepeat="8 8", reflectance="0")
    SubElement(world, "geom", name="floor", type="plane", size="4 4 0.1", material="floor")
    SubElement(
        world,
        "light",
        name="lamp",
        type="directional",
        pos="1 1.5 4",
        dir="-0.3 -0.4 -1",
        diffuse="0.55 0.55 0.55",
        specular="0.1 0.1 0.1",
        castshadow="false",  # shadows take two thirds of the time without a GPU
    )
    x, z = table_xz
    half_x, half_y, half_z = _TABLE_HALF
    _geom(world, "table", "box", (x, 0.0, z - half_z), _TABLE_HALF, (0.62, 0.45, 0.3))
    leg = (z - 2 * half_z) / 2
    for i, (side_x, side_y) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1))):
        place = (x + side_x * (half_x - 0.04), side_y * (half_y - 0.04), leg)
        _geom(world, f"table_leg{i}", "box", place, (0.02, 0.02, leg), (0.4, 0.3, 0.2))
    for name, (kind, (dx, y, dz), size, colour) in _OBJECTS.items():
        _geom(world, name, kind, (x + dx, y, z + dz), size, colour)
    SubElement(
        world,
        "camera",
        name=OUTSIDE,
        pos="2.35 1.75 1.75",
        xyaxes="-0.649 0.761 0 -0.241 -0.206 0.949",
        fovy="38",
    )


def _geom(
    world: Element,
    name: str,
    kind: str,
    place: tuple[float, float, float],
    size: tuple[float, ...],
    colour: tuple[float, float, float],
) -> None:
    SubElement(
        world,
        "geom",
        name=name,
        type=kind,
        pos=numbers(*place),
        size=numbers(*size),
        rgba=numbers(*colour, 1.0),
    )
