"""`pi05_comet`: pi0.5 as it is used on BEHAVIOR-1K, and `pi05_comet_vlm2`, the same with 3-D and memory.

Importing this package registers the policy types and their processor steps with LeRobot; the network is
imported when a policy is made.
"""

from lerobot_policy_pi05_comet import processor_pi05_comet, processor_pi05_comet_vlm2
from lerobot_policy_pi05_comet.configuration_pi05_comet import PI05CometConfig
from lerobot_policy_pi05_comet.configuration_pi05_comet_vlm2 import PI05CometVLM2Config

__all__ = ["PI05CometConfig", "PI05CometVLM2Config", "processor_pi05_comet", "processor_pi05_comet_vlm2"]
