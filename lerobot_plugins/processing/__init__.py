"""Processor steps that several policies share: prompt, tokenizer, exact normalisation.

Importing this package registers the steps with LeRobot, which looks them up by name when a checkpoint is
loaded; a policy's package imports it for that reason.
"""

from lerobot_plugins.processing import normalization, prompt, state_prompt

__all__ = ["normalization", "prompt", "state_prompt"]
