#!/usr/bin/env bash
# pi0.5 on LIBERO as openpi trains pi05_libero: chunks of 10, no state in the prompt, batch 256, 30,000 steps, 10,000 steps
# of warm-up to a constant 5e-5, an average of the weights with 0.999. Then in the simulator, in its own environment.
#
#   RLDS=/data/libero_10_no_noops bash examples/pi05_comet/libero.sh
set -euo pipefail

RLDS="${RLDS:?name the folder of a LIBERO set in RLDS form}"
DATA="${DATA:-data/libero}"
OUT="${OUT:-outputs/pi05_comet_libero}"
BASE="${BASE:-lerobot/pi05_base}"
GPUS="${GPUS:-8}"
BATCH="${BATCH:-32}" # per GPU: GPUS x BATCH is the published 256
STEPS="${STEPS:-30000}"
SIMULATOR="${SIMULATOR:-.venv-libero/bin/lerobot-eval}" # made by `make libero-env`

test -e "$DATA" || lerobot-plugins convert rlds "$RLDS" --preset libero --repo-id local/libero --root "$DATA" --images jpeg
if [ -e "$OUT/run/checkpoints/last" ]; then
  TRAINING=(--config_path="$OUT/run/checkpoints/last/pretrained_model/train_config.json" --resume=true)
else
  TRAINING=(--policy.type=pi05_comet --policy.init_from="$BASE"
    --policy.chunk_size=10 --policy.n_action_steps=5 --policy.discrete_state_input=false --policy.ema_decay=0.999
    --policy.optimizer_lr=5e-5 --policy.scheduler_decay_lr=5e-5 --policy.scheduler_warmup_steps=10000
    --policy.loss_over_padded_dims=true --policy.loss_over_padded_actions=true
    --policy.gradient_checkpointing=true --policy.push_to_hub=false
    --dataset.repo_id=local/libero --dataset.root="$DATA" --batch_size="$BATCH" --steps="$STEPS"
    --save_freq=5000 --log_freq=100 --num_workers=8 --env_eval_freq=0 --seed=42 --output_dir="$OUT/run")
fi
PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
accelerate launch --num_processes "$GPUS" "$(which lerobot-train)" "${TRAINING[@]}"

MUJOCO_GL=egl LIBERO_CONFIG_PATH="${LIBERO_CONFIG_PATH:-$PWD/.cache/libero}" \
"$SIMULATOR" --policy.path="$OUT/run/checkpoints/last/pretrained_model" \
  --env.type=libero --env.task=libero_10 --eval.n_episodes=10 --eval.batch_size=2 --eval.use_async_envs=false \
  --output_dir="$OUT/eval"
