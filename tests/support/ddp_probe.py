"""`lerobot-train` under torchrun, with a note of what each rank saw.

Use: `ddp_probe.py NOTES_FOLDER OPTIONS_OF_LEROBOT_TRAIN...`
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import torch
from lerobot.scripts import lerobot_train

notes_folder = Path(sys.argv.pop(1))
rank = int(os.environ["RANK"])
notes: dict[str, list] = {"noise": [], "weights": [], "losses": []}
update = lerobot_train.update_policy


def digest(policy: torch.nn.Module) -> str:
    """A name for all weights."""
    hasher = hashlib.sha256()
    for parameter in policy.parameters():
        hasher.update(parameter.detach().numpy().tobytes())
    return hasher.hexdigest()


def remember(tracker, policy, *rest, **named):
    """One update, with this rank's first noise before it and its weights after it."""
    notes["noise"].append(float(policy.module._loss_generator().standard_normal()))
    tracker, logs = update(tracker, policy, *rest, **named)
    notes["losses"].append(tracker.loss.val)
    notes["weights"].append(digest(policy))
    return tracker, logs


lerobot_train.update_policy = remember
lerobot_train.main()
(notes_folder / f"rank{rank}.json").write_text(json.dumps(notes))
