#!/usr/bin/env bash
# pi05_comet_vlm2 on BEHAVIOR-1K from openpi-comet's published weights: the head's recorded depth, a memory of the episode,
# statistics inherited from the checkpoint. Settings of openpi-comet's turning_on_radio run of its VLM2: 20,000 steps at
# 2.5e-6, batch 64, prompts of 256 tokens. Its make_pizza run: TASKS=make_pizza LR=1e-4 DECAY_LR=1e-5 STEPS=200000
# SAVE=10000 PROMPT=512. Four moments of history decode four times the pictures: WORKERS counts.
#
#   B1K=2025-challenge-demos COMET=pi05-b1kpt50-cs32 bash examples/pi05_comet/vlm2_b1k.sh
set -euo pipefail

COMET="${COMET:?name the folder of the openpi checkpoint, such as pi05-b1kpt50-cs32}"
TASKS="${TASKS:-turning_on_radio}"
DATA="${DATA:-data/b1k_${TASKS}_depth}"
OUT="${OUT:-outputs/pi05_comet_vlm2_$TASKS}"
LR="${LR:-2.5e-6}"
DECAY_LR="${DECAY_LR:-0}"
PROMPT="${PROMPT:-256}"
BATCH="${BATCH:-8}"
STEPS="${STEPS:-20000}"
SAVE="${SAVE:-500}"
. "$(dirname "$0")/common.sh"

prepare --tasks="$TASKS" --depth=head
test -e "$OUT/base" || lerobot-plugins checkpoint import-openpi "$COMET" --output="$OUT/base" --robot=r1_pro
train --policy.type=pi05_comet_vlm2 --policy.init_from="$OUT/base" --policy.geometry_encoder=depth \
  --policy.stats_source=file --policy.stats_path="$COMET/assets/behavior-1k/2025-challenge-demos/norm_stats.json" \
  --policy.prompt_max_len="$PROMPT" \
  --policy.optimizer_lr="$LR" --policy.scheduler_warmup_steps=1000 --policy.scheduler_decay_lr="$DECAY_LR" \
  --policy.loss_over_padded_dims=true --policy.loss_over_padded_actions=true
validate
