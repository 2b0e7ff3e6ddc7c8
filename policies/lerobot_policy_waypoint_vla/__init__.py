"""`waypoint_vla`: waypoints planned as tokens, actions by an expert.

Importing this package registers the policy type and its processor steps with LeRobot; the network is
imported when a policy is made.
"""

from lerobot_policy_waypoint_vla import processor_waypoint_vla
from lerobot_policy_waypoint_vla.configuration_waypoint_vla import WaypointVLAConfig

__all__ = ["WaypointVLAConfig", "processor_waypoint_vla"]
