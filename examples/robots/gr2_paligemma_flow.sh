#!/usr/bin/env bash
# paligemma_flow on GR-2 recordings: PaliGemma as it is, a DiT head of 165 M weights for 45 / 37 dims of any kind. Needs
# google/paligemma-3b-pt-224 (licence accepted), or PALIGEMMA names its folder. Estimated batches: 24 GB 32, 48 GB 96;
# FULL=1 trains all but the token table and takes 80 GB.
#
#   DATA=data/gr2 bash examples/robots/gr2_paligemma_flow.sh
set -euo pipefail

OUT="${OUT:-outputs/gr2_paligemma_flow}"
BATCH="${BATCH:-32}"
STEPS="${STEPS:-30000}"
PALIGEMMA="${PALIGEMMA:-google/paligemma-3b-pt-224}"
. "$(dirname "$0")/common.sh"

TRAINED=(--policy.freeze_vision_tower=true --policy.freeze_language_model=true)
if [ "${FULL:-0}" = 1 ]; then
  TRAINED=(--policy.gradient_checkpointing=true --policy.vlm_warmup_steps=1000)
fi

train --policy.type=paligemma_flow --policy.init_from="$PALIGEMMA" --policy.tokenizer_name="$PALIGEMMA" \
  --policy.input_features="$COLOUR" --policy.image_resize=pad \
  --policy.chunk_size=30 --policy.n_action_steps=15 "${TRAINED[@]}"
replay
