#!/usr/bin/env bash
# SmolVLA on GR-2 recordings. Needs `pip install "lerobot[smolvla]"` (num2words). By default SmolVLM2 is pretrained and
# the action expert starts from nothing. BASE goes on from SmolVLA's own weights, of 32 dims, widened before:
#
#   python examples/robots/widen.py smolvla_base --output smolvla_gr2 --state 45 --action 37
#   DATA=data/gr2 BASE=smolvla_gr2 bash examples/robots/gr2_smolvla.sh
#
# Offline: VLM names a folder with SmolVLM2-500M-Video-Instruct. Estimated batches: 24 GB 32, 48 GB 64.
set -euo pipefail

OUT="${OUT:-outputs/gr2_smolvla}"
BATCH="${BATCH:-32}"
STEPS="${STEPS:-20000}"
VLM="${VLM:-HuggingFaceTB/SmolVLM2-500M-Video-Instruct}"
. "$(dirname "$0")/common.sh"

POLICY=(--policy.type=smolvla --policy.load_vlm_weights=true)
if [ -n "${BASE:-}" ]; then
  POLICY=(--policy.path="$BASE")
fi

train "${POLICY[@]}" --policy.vlm_model_name="$VLM" --policy.input_features="$COLOUR" \
  --policy.max_state_dim="$STATE" --policy.max_action_dim="$ACTION" \
  --policy.chunk_size=50 --policy.n_action_steps=30 \
  --policy.scheduler_decay_steps="$STEPS"
replay
