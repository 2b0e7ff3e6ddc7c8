"""What users and checkpoints depend on: config fields with defaults, step names, adapted modules.

Run as a script after an intended change: it rewrites the committed snapshot. Then say so in CHANGELOG.md.
"""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).parents[1] / "contracts" / "surface.json"
REMEDY = (
    "the surface of a policy changed: fields, defaults and step names are what users type and what "
    "checkpoints store. If the change is intended, run `python tests/support/surface.py` and add a line to "
    "CHANGELOG.md in the same commit."
)


def surface_of(policy_type: str) -> dict[str, Any]:
    """The surface of one policy type; the host's own fields are left out."""
    import draccus
    from lerobot.configs import PreTrainedConfig
    from lerobot.policies.factory import make_policy_config
    from tiny_policies import processors, tiny_config, tiny_policy

    config = make_policy_config(policy_type)
    host = {field.name for field in dataclasses.fields(PreTrainedConfig)} - {"normalization_mapping"}
    encoded = draccus.encode(config)
    before, after = processors(tiny_config(policy_type))
    return {
        "fields": {name: value for name, value in encoded.items() if name not in host | {"type"}},
        "preprocessor": [step_name(step) for step in before.steps],
        "postprocessor": [step_name(step) for step in after.steps],
        "adapted_modules": adapted_modules(tiny_policy(policy_type)),
    }


def step_name(step: Any) -> str:
    """The name LeRobot stores for a step."""
    return type(step)._registry_name


def adapted_modules(policy: Any) -> dict[str, Any]:
    """How many modules of the tiny policy get an adapter by default, and which are trained in full."""
    targets = policy._get_default_peft_targets()
    matching = [name for name, _ in policy.named_modules() if re.fullmatch(targets["target_modules"], name)]
    return {"adapters": len(matching), "trained in full": targets["modules_to_save"]}


def main() -> None:
    """Rewrite the snapshot."""
    from tiny_policies import policy_types

    found = {policy_type: surface_of(policy_type) for policy_type in policy_types()}
    SNAPSHOT.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    print(f"wrote {SNAPSHOT}")


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    main()
