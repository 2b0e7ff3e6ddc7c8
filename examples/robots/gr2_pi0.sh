#!/usr/bin/env bash
# PI0 on GR-2 recordings, from BASE. Needs `pip install "lerobot[pi]"` and PaliGemma's tokenizer (licence accepted; the
# stock code knows only the name google/paligemma-3b-pt-224, so offline a folder of that name must be where this is
# started). The published weights have 32 dims; widen them first, or LeRobot starts the projections at random:
#
#   python examples/robots/widen.py pi0_base --output pi0_gr2 --state 45 --action 37
#   DATA=data/gr2 BASE=pi0_gr2 bash examples/robots/gr2_pi0.sh
#
# By default only the action expert is trained, FULL=1 trains everything. Estimated batches, with checkpointing:
# 24 GB 8 (expert), 48 GB 32 (expert) or 4 (everything).
set -euo pipefail

OUT="${OUT:-outputs/gr2_pi0}"
BASE="${BASE:-lerobot/pi0_base}"
BATCH="${BATCH:-8}"
STEPS="${STEPS:-20000}"
. "$(dirname "$0")/common.sh"

TRAINED=(--policy.train_expert_only=true --policy.freeze_vision_encoder=true)
if [ "${FULL:-0}" = 1 ]; then
  TRAINED=()
fi

train --policy.type=pi0 --policy.pretrained_path="$BASE" --policy.input_features="$COLOUR" \
  --policy.max_state_dim="$STATE" --policy.max_action_dim="$ACTION" \
  --policy.dtype=bfloat16 --policy.gradient_checkpointing=true --policy.compile_model="${COMPILE:-false}" \
  --policy.chunk_size=50 --policy.n_action_steps=30 "${TRAINED[@]}" \
  --policy.scheduler_decay_steps="$STEPS"
replay
