#!/usr/bin/env bash
# Fine-tune openpi-comet's published weights on one task, with the statistics that they were trained with. The default is
# the published turning_on_radio run: 20,000 steps at 2.5e-6, batch 64 on eight GPUs, a checkpoint every 500 steps. The
# published make_pizza runs: TASKS=make_pizza LR=1e-4 DECAY_LR=1e-5 STEPS=200000 SAVE=10000 (five epochs at 8 a GPU).
#
#   B1K=2025-challenge-demos COMET=pi05-b1kpt50-cs32 bash examples/pi05_comet/finetune_b1k.sh
set -euo pipefail

COMET="${COMET:?name the folder of the openpi checkpoint, such as pi05-b1kpt50-cs32}"
TASKS="${TASKS:-turning_on_radio}"
DATA="${DATA:-data/b1k_$TASKS}"
OUT="${OUT:-outputs/pi05_comet_$TASKS}"
LR="${LR:-2.5e-6}"
DECAY_LR="${DECAY_LR:-0}"
BATCH="${BATCH:-8}"
STEPS="${STEPS:-20000}"
SAVE="${SAVE:-500}"
. "$(dirname "$0")/common.sh"

prepare --tasks="$TASKS"
test -e "$OUT/base" || lerobot-plugins checkpoint import-openpi "$COMET" --output="$OUT/base" --robot=r1_pro
train --policy.path="$OUT/base" --policy.stats_source=checkpoint \
  --policy.optimizer_lr="$LR" --policy.scheduler_warmup_steps=1000 --policy.scheduler_decay_lr="$DECAY_LR" \
  --policy.loss_over_padded_dims=true --policy.loss_over_padded_actions=true
validate
