#!/usr/bin/env bash
# pi05_comet on BEHAVIOR-1K from pi0.5's base weights, as openpi-comet's published pi05-b1kpt50-cs32 was trained: all 50
# tasks, batch 256 on eight GPUs, 50,000 steps of chunks of 32, 1,000 steps of warm-up to 2.5e-5, a cosine to 0, no EMA, a
# checkpoint every 5,000 steps. Its smaller sibling pi05-b1kpt12-cs32 saw TASKS=0,1,6,17,18,22,30,32,34,35,40,45. Full
# fine-tuning takes more than 70 GB a GPU. Needs lerobot/pi05_base (or BASE: a folder) and PaliGemma's tokenizer.
#
#   B1K=2025-challenge-demos bash examples/pi05_comet/pretrain_b1k.sh
#   NODES=2 NODE=0 MASTER=10.0.0.1 BATCH=16 B1K=... bash ...    # on the first of two machines; NODE=1 on the second
set -euo pipefail

DATA="${DATA:-data/b1k}"
OUT="${OUT:-outputs/pi05_comet_pretrain}"
BASE="${BASE:-lerobot/pi05_base}"
BATCH="${BATCH:-32}"
STEPS="${STEPS:-50000}"
SAVE="${SAVE:-5000}"
. "$(dirname "$0")/common.sh"

prepare ${TASKS:+--tasks="$TASKS"}
train --policy.type=pi05_comet --policy.init_from="$BASE" \
  --policy.chunk_size=32 --policy.n_action_steps=32 --policy.prompt_max_len=512 \
  --policy.optimizer_lr=2.5e-5 --policy.scheduler_warmup_steps=1000 --policy.scheduler_decay_lr=0 \
  --policy.loss_over_padded_dims=true --policy.loss_over_padded_actions=true
validate
