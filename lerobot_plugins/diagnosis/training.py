"""Which parameters a policy's configuration trains."""

from typing import Any

from lerobot_plugins.diagnosis.stored import Stored


def trained_parameters(stored: Stored) -> dict[str, bool] | None:
    """Whether each parameter of this project's policy of the checkpoint's configuration is trained.

    Returns:
        None for policies of others, whose rules are not known.

    Raises:
        ZooError: The configuration is refused.
    """
    if stored.folder is None or "type" not in stored.config:
        return None
    # LeRobot and transformers take seconds to import.
    from lerobot.policies import get_policy_class

    from lerobot_plugins import registry
    from lerobot_plugins.checkpoints.load_report import empty_parameters
    from lerobot_plugins.checkpoints.policy_folder import read_config
    from lerobot_plugins.policy.configuration import ZooPolicyConfig

    registry.load_host_plugins()
    config = read_config(stored.folder)
    if not isinstance(config, ZooPolicyConfig):
        return None
    with empty_parameters():
        policy: Any = get_policy_class(config.type)(config, load_backbone=False)
    return {name: parameter.requires_grad for name, parameter in policy.named_parameters()}
