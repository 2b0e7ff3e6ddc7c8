#!/usr/bin/env bash
# ACT on GR-2 recordings. Needs no extra; the ResNet's weights come from download.pytorch.org (BACKBONE=null: none).
# Estimated batches: 24 GB 64, 48 GB 128.
#
#   DATA=data/gr2 bash examples/robots/gr2_act.sh
set -euo pipefail

OUT="${OUT:-outputs/gr2_act}"
BATCH="${BATCH:-64}"
STEPS="${STEPS:-50000}"
. "$(dirname "$0")/common.sh"

train --policy.type=act --policy.input_features="$COLOUR" \
  --policy.pretrained_backbone_weights="${BACKBONE:-ResNet18_Weights.IMAGENET1K_V1}" \
  --policy.chunk_size=100 --policy.n_action_steps=30 \
  --policy.optimizer_lr=5e-5 --policy.optimizer_lr_backbone=1e-5
replay
