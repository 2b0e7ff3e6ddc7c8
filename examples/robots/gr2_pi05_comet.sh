#!/usr/bin/env bash
# pi05_comet on GR-2 recordings: the network's 32 actions are widened to 37, its log says what is new; the state's 45
# numbers stand in the prompt. Needs lerobot/pi05_base (or BASE: a folder, also from `checkpoint import-openpi`) and
# PaliGemma's tokenizer (or TOKENIZER). By default only the action expert is trained; FULL=1 trains everything.
# Estimated batches, with checkpointing: 24 GB 16, 48 GB 48 (expert); everything takes 80 GB.
#
#   DATA=data/gr2 bash examples/robots/gr2_pi05_comet.sh
set -euo pipefail

OUT="${OUT:-outputs/gr2_pi05_comet}"
BATCH="${BATCH:-16}"
STEPS="${STEPS:-20000}"
BASE="${BASE:-lerobot/pi05_base}"
TOKENIZER="${TOKENIZER:-google/paligemma-3b-pt-224}"
. "$(dirname "$0")/common.sh"

TRAINED=(--policy.freeze_vision_tower=true --policy.freeze_language_model=true)
if [ "${FULL:-0}" = 1 ]; then
  TRAINED=()
fi

train --policy.type=pi05_comet --policy.init_from="$BASE" --policy.tokenizer_name="$TOKENIZER" \
  --policy.max_action_dim="$ACTION" --policy.gradient_checkpointing=true "${TRAINED[@]}"
replay
