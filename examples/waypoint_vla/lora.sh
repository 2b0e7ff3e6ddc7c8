#!/usr/bin/env bash
# waypoint_vla with adapters: rank 16 in every Gemma layer, the rows of the token table that plans use, and the
# projections in full. The published runs: batch 80 on four GPUs, 10,000 steps, 1e-4 to 1e-5, gradient scale 0.4.
#
#   DATA=data/libero_10 bash examples/waypoint_vla/lora.sh
set -euo pipefail

DATA="${DATA:?name the folder of a LeRobot dataset}"
OUT="${OUT:-outputs/waypoint_lora}"
GPUS="${GPUS:-4}"
BATCH="${BATCH:-20}" # per GPU

lerobot-plugins checkpoint init --policy.type=waypoint_vla --policy.robot_preset=libero \
  --policy.waypoint_threshold=0.006 --policy.init_from=lerobot/pi05_base --policy.gradient_scale=0.4 \
  --dataset.repo_id=local/libero --dataset.root="$DATA" --output="$OUT/base"

PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
accelerate launch --num_processes "$GPUS" "$(which lerobot-train)" \
  --policy.path="$OUT/base" --peft.method_type=LORA --peft.r=16 --peft.lora_alpha=16 \
  --policy.optimizer_lr=1e-4 --policy.scheduler_warmup_steps=1000 --policy.scheduler_decay_lr=1e-5 \
  --policy.gradient_checkpointing=true --policy.push_to_hub=false \
  --dataset.repo_id=local/libero --dataset.root="$DATA" --dataset.video_backend=pyav \
  --batch_size="$BATCH" --steps=10000 --save_freq=1000 --log_freq=50 --output_dir="$OUT/run"

lerobot-plugins checkpoint merge-lora "$OUT/run/checkpoints/last/pretrained_model" --output="$OUT/merged"
