"""Draw the simulated robots: from outside, and as their own cameras see the table.

    python examples/robots/draw_robots.py [docs/images/robots_simulated.png]

One row a robot: the view from outside, its head camera, and that camera's depth (the R1 Lite's measures none:
its left wrist's). Needs the extra `sim`.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lerobot_plugins.contracts import catalog
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_plugins.robots.simulation.backend import SimulationBackend

ROBOTS = {
    "fourier_gr2": "Fourier GR-2",
    "galaxea_r1": "Galaxea R1",
    "galaxea_r1_lite": "Galaxea R1 Lite",
    "galaxea_r1_pro": "Galaxea R1 Pro",
}
TILE = (280, 210)  # width, height
FARTHEST_MM = 2000  # white in the pictures of depth
COLOURS = 256


def main() -> None:
    """Draw all robots into one sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, default=Path("docs/images/robots_simulated.png"))
    path = parser.parse_args().path
    sheet = Image.fromarray(np.vstack([np.hstack(tiles(robot, title)) for robot, title in ROBOTS.items()]))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(COLOURS).save(path, optimize=True)
    print(f"{path}: {sheet.width} x {sheet.height}, {path.stat().st_size / 1000:.0f} kB")


def tiles(robot_type: str, title: str) -> list[np.ndarray]:
    """Three or four pictures of one robot."""
    contract = catalog.contract(robot_type)
    # Twice the size that is shown: scaling down smooths the edges.
    backend = SimulationBackend(contract, ZooRobotConfig(sim_height=2 * TILE[1], sim_width=2 * TILE[0]))
    backend.connect()
    try:
        outside = backend.picture("outside").rgb
        seen = {camera.name: backend.picture(camera.name) for camera in contract.cameras}
    finally:
        backend.disconnect()
    head = contract.cameras[0].name
    deep = next(name for name, picture in seen.items() if picture.depth_mm is not None)
    return [
        tile(outside, title),
        tile(seen[head].rgb, head),
        tile(grey(seen[deep].depth_mm), f"{deep}_depth"),
    ]


def grey(depth_mm: np.ndarray) -> np.ndarray:
    """Near is dark, far and nothing is white."""
    depth = np.where(depth_mm == 0, FARTHEST_MM, depth_mm).clip(0, FARTHEST_MM).astype(float)
    return np.repeat((255 * depth / FARTHEST_MM).astype(np.uint8), 3, axis=-1)


def tile(picture: np.ndarray, caption: str) -> np.ndarray:
    """A picture of one size with its name in a corner."""
    image = Image.fromarray(picture).resize(TILE, Image.Resampling.LANCZOS)
    ImageDraw.Draw(image).text((6, 4), caption, fill="black")
    return np.asarray(image)


if __name__ == "__main__":
    main()
