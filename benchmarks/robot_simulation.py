"""How fast the simulated robots live beside real time, and how long their pictures take.

Physics is timed with the base at rest and driving; an observation is a reading with all pictures.
An observation should take less than the control period of the real robot. The last line is JSON.

    python benchmarks/robot_simulation.py [--seconds 10] [--height 240] [--width 320]
"""

import argparse
import json
import sys
from pathlib import Path

from lerobot_plugins.contracts import catalog
from lerobot_plugins.robots.config import ZooRobotConfig
from lerobot_plugins.robots.simulation.backend import SimulationBackend
from lerobot_plugins.robots.simulation.mjcf import TIMESTEP_S

sys.path.insert(0, str(Path(__file__).parent))
from measuring import seconds

ROBOTS = ("fourier_gr2", "galaxea_r1", "galaxea_r1_lite", "galaxea_r1_pro")
LOOKS = 5


def main() -> None:
    """Time each robot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="simulated time")
    parser.add_argument("--height", type=int, default=240, help="of the pictures, pixels")
    parser.add_argument("--width", type=int, default=320)
    arguments = parser.parse_args()
    rows = [measure(robot_type, arguments) for robot_type in ROBOTS]
    for row in rows:
        print(
            f"{row['robot']:16} {row['steps_per_second']:6.0f} steps/s, {row['times_real_time']:.1f} x real "
            f"time, driving {row['times_real_time_driving']:.1f} x; {row['cameras']} cameras: observation in "
            f"{1e3 * row['observation_seconds']:.0f} ms of {1e3 * row['period_seconds']:.0f}"
        )
    print(json.dumps({"benchmark": "robot_simulation", "timestep_seconds": TIMESTEP_S, "rows": rows}))


def measure(robot_type: str, arguments: argparse.Namespace) -> dict:
    """Speeds of one robot."""
    contract = catalog.contract(robot_type)
    now_s = 0.0
    config = ZooRobotConfig(sim_height=arguments.height, sim_width=arguments.width)
    backend = SimulationBackend(contract, config, clock=lambda: now_s)
    backend.connect()

    def live() -> None:
        nonlocal now_s
        for _ in range(round(arguments.seconds * contract.fps)):
            now_s += 1 / contract.fps
            backend.read()

    def observe() -> None:
        backend.read()
        for camera in contract.cameras:
            backend.picture(camera.name)

    still = seconds(live)
    backend.write(
        {
            signal.name: 0.1 if signal.name in ("base_x.vel", "base_vel_x.vel") else 0.0
            for signal in contract.action
            if signal.exists
        }
    )
    driving = seconds(live)
    observe()  # opens the graphics context
    row = {
        "robot": robot_type,
        "steps_per_second": arguments.seconds / TIMESTEP_S / still,
        "times_real_time": arguments.seconds / still,
        "times_real_time_driving": arguments.seconds / driving,
        "cameras": len(contract.cameras),
        "observation_seconds": min(seconds(observe) for _ in range(LOOKS)),
        "period_seconds": 1 / contract.fps,
    }
    backend.disconnect()
    return row


if __name__ == "__main__":
    main()
