#!/usr/bin/env bash
# waypoint_vla on LIBERO-Object at real size, with the settings of the published joint run: threshold 0.01, gradient
# scale 0.3, 1,200 steps at batch 192, cosine from 1e-4 to 1e-7 after 40 steps of warm-up. Needs lerobot/pi05_base, the
# tokenizer of google/paligemma-3b-pt-224 (its licence accepted), and GPUs with room for the batch: with eight, 24 a GPU.
#
#   RLDS=/data/libero_object_no_noops bash examples/waypoint_vla/libero_object.sh
set -euo pipefail

RLDS="${RLDS:?name the folder of libero_object_no_noops in RLDS form}"
DATA="${DATA:-data/libero_object}"
OUT="${OUT:-outputs/waypoint_libero_object}"
GPUS="${GPUS:-8}"
BATCH="${BATCH:-24}" # per GPU: GPUS x BATCH is the published 192

lerobot-plugins convert rlds "$RLDS" --preset libero --repo-id local/libero_object --root "$DATA" --images jpeg
lerobot-plugins waypoints --root "$DATA" --robot libero --threshold 0.01 --picture waypoints.png

PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
accelerate launch --num_processes "$GPUS" "$(which lerobot-train)" \
  --policy.type=waypoint_vla --policy.robot_preset=libero --policy.waypoint_threshold=0.01 \
  --policy.init_from=lerobot/pi05_base --policy.gradient_strategy=scale --policy.gradient_scale=0.3 \
  --policy.optimizer_lr=1e-4 --policy.scheduler_warmup_steps=40 --policy.scheduler_decay_lr=1e-7 \
  --policy.gradient_checkpointing=true --policy.push_to_hub=false \
  --dataset.repo_id=local/libero_object --dataset.root="$DATA" --dataset.video_backend=pyav \
  --batch_size="$BATCH" --steps=1200 --save_freq=200 --log_freq=10 --seed=42 --output_dir="$OUT"

# Ten tasks, twenty initial states each, two environments at once, in the simulator's own environment (make libero-env).
MUJOCO_GL=egl lerobot-eval --policy.path="$OUT/checkpoints/last/pretrained_model" \
  --env.type=libero --env.task=libero_object --eval.n_episodes=20 --eval.batch_size=2 --eval.use_async_envs=false \
  --output_dir="$OUT/eval"
