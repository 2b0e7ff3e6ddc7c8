"""Teleoperators that need no hands: `--teleop.type=scripted_motion` and `--teleop.type=replay_motion`.

Importing this package registers their options; LeRobot imports a teleoperator when one is made.
"""

from lerobot_teleoperator_motion.config_motion import ReplayMotionConfig, ScriptedMotionConfig

__all__ = ["ReplayMotionConfig", "ScriptedMotionConfig"]
