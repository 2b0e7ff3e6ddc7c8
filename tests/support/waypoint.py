"""A tiny `waypoint_vla` for the stock commands."""

from comet import CPU, NETWORK, SHORT_CHUNKS

WAYPOINT = (
    "--policy.type=waypoint_vla",
    "--policy.robot_preset=libero",
    "--policy.waypoint_threshold=0.2",
    "--policy.max_duration=8",
    *NETWORK,
    *SHORT_CHUNKS,
    *CPU,
    "--policy.scheduler_warmup_steps=2",
)
