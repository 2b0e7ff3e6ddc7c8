"""`pi05_comet`: pi0.5 as it is used on BEHAVIOR-1K.

Importing this package registers the policy type and its processor steps with LeRobot; the network is
imported when a policy is made.
"""

from lerobot_policy_pi05_comet import processor_pi05_comet
from lerobot_policy_pi05_comet.configuration_pi05_comet import PI05CometConfig

__all__ = ["PI05CometConfig", "processor_pi05_comet"]
