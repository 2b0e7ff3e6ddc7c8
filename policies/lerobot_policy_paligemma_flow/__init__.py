"""`paligemma_flow`: PaliGemma with a flow-matching action head.

Importing this package registers the policy type and its processor steps with LeRobot; the network is
imported when a policy is made.
"""

from lerobot_policy_paligemma_flow import processor_paligemma_flow
from lerobot_policy_paligemma_flow.configuration_paligemma_flow import PaliGemmaFlowConfig

__all__ = ["PaliGemmaFlowConfig", "processor_paligemma_flow"]
