#!/usr/bin/env bash
# waypoint_vla on GR-2 recordings: 29 joints as numbers, hands like arms (no grippers); the other 16 numbers of the
# state (base, IMU) are not seen. Each arm with its hand is simplified on its own, head and waist too. Needs
# lerobot/pi05_base and PaliGemma's tokenizer, or BASE and TOKENIZER name their folders. By default adapters are trained;
# FULL=1 trains everything. Estimated batches, with checkpointing: 24 GB 4, 48 GB 16 (adapters); everything takes 80 GB.
#
#   DATA=data/gr2 bash examples/robots/gr2_waypoint_vla.sh
set -euo pipefail

OUT="${OUT:-outputs/gr2_waypoint_vla}"
BATCH="${BATCH:-4}"
STEPS="${STEPS:-20000}"
BASE="${BASE:-lerobot/pi05_base}"
TOKENIZER="${TOKENIZER:-google/paligemma-3b-pt-224}"
THRESHOLD="${THRESHOLD:-0.1}" # radians, over all joints of a part; smaller ones give more waypoints
. "$(dirname "$0")/common.sh"

GR2=(--policy.type=waypoint_vla --policy.init_from="$BASE" --policy.tokenizer_name="$TOKENIZER"
  --policy.ignored_state_dims="[$(seq -s, 29 $((STATE - 1)))]"
  --policy.waypoint_arms='[[0,1,2,3,4,5,6,17,18,19,20,21,22],[7,8,9,10,11,12,13,23,24,25,26,27,28],[14,15,16]]'
  --policy.waypoint_threshold="$THRESHOLD"
  --policy.max_action_dim="$ACTION" --policy.prompt_max_len=256 --policy.image_resize=pad
  --policy.gradient_checkpointing=true)

if [ "${FULL:-0}" = 1 ]; then
  train "${GR2[@]}"
else
  test -e "$OUT-base" || lerobot-plugins checkpoint init "${GR2[@]}" \
    --dataset.repo_id="$REPO" --dataset.root="$DATA" --output="$OUT-base"
  train --policy.path="$OUT-base" --peft.method_type=LORA --peft.r=16 --peft.lora_alpha=16
fi
replay
