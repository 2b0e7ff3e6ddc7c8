#!/usr/bin/env bash
# The last step of openpi-comet's published recipe: demonstrations and successful rollouts of the policy itself, 60 to 40,
# 20,000 steps at 1e-6, batch 256, from pi05-b1kpt50-cs32 and with its statistics. ROLLOUTS is a LeRobotDataset v3 of the
# same form as the converted demonstrations.
#
#   B1K=2025-challenge-demos COMET=pi05-b1kpt50-cs32 ROLLOUTS=data/rollouts bash examples/pi05_comet/rejection_b1k.sh
set -euo pipefail

COMET="${COMET:?name the folder of the openpi checkpoint, such as pi05-b1kpt50-cs32}"
ROLLOUTS="${ROLLOUTS:?name the folder of the rollouts, a LeRobotDataset}"
DATA="${DATA:-data/b1k}"
MIXED="${MIXED:-data/b1k_rejection}"
OUT="${OUT:-outputs/pi05_comet_rejection}"
BATCH="${BATCH:-32}"
STEPS="${STEPS:-20000}"
SAVE="${SAVE:-5000}"
. "$(dirname "$0")/common.sh"

prepare ${TASKS:+--tasks="$TASKS"}
test -e "$MIXED" || lerobot-plugins merge "$DATA" "$ROLLOUTS" --ratios 0.6 0.4 --statistics-of "$DATA" --output "$MIXED"
test -e "$OUT/base" || lerobot-plugins checkpoint import-openpi "$COMET" --output="$OUT/base" --robot=r1_pro
DATA="$MIXED"
train --policy.path="$OUT/base" --policy.stats_source=checkpoint \
  --policy.optimizer_lr=1e-6 --policy.scheduler_warmup_steps=1000 --policy.scheduler_decay_lr=0 \
  --policy.loss_over_padded_dims=true --policy.loss_over_padded_actions=true
validate
