"""Which parameters a policy's configuration trains, and which it keeps at zero."""

from typing import Any

from lerobot_plugins.diagnosis.stored import Stored


def trained_parameters(stored: Stored) -> dict[str, bool] | None:
    """Whether each parameter of this project's policy of the checkpoint's configuration is trained.

    Returns:
        None for policies of others, whose rules are not known.

    Raises:
        ZooError: The configuration is refused.
    """
    policy = _unfilled(stored)
    if policy is None:
        return None
    return {name: parameter.requires_grad for name, parameter in policy.named_parameters()}


def frozen_at_zero(stored: Stored) -> set[str]:
    """Names of the matrices that the configuration keeps at the zero they began at, by the policy's word.

    Returns:
        Nothing for policies of others.

    Raises:
        ZooError: The configuration is refused.
    """
    policy = _unfilled(stored)
    if policy is None:
        return set()
    ends = tuple(policy.frozen_at_zero)
    return {
        name
        for name, parameter in policy.named_parameters()
        if not parameter.requires_grad and name.endswith(ends)
    }


def _unfilled(stored: Stored) -> Any:
    """This project's policy of the checkpoint's configuration, without memory for its weights, or None."""
    if stored.folder is None or "type" not in stored.config:
        return None
    # LeRobot and transformers take seconds to import.
    from lerobot.configs import PreTrainedConfig
    from lerobot.policies import get_policy_class

    from lerobot_plugins import registry
    from lerobot_plugins.checkpoints.load_report import empty_parameters
    from lerobot_plugins.checkpoints.policy_folder import read_config
    from lerobot_plugins.policy.configuration import ZooPolicyConfig

    registry.load_host_plugins()
    if stored.config["type"] not in PreTrainedConfig.get_known_choices():
        return None
    config = read_config(stored.folder)
    if not isinstance(config, ZooPolicyConfig):
        return None
    with empty_parameters():
        return get_policy_class(config.type)(config, load_backbone=False)
