#!/usr/bin/env bash
# pi05_comet_vlm2 that sees the depth of the LIBERO simulator, on a CPU: plays committed demonstrations again to record
# depth, trains tiny weights from nothing on it, replays the demonstrations, and acts in the simulator, two environments
# for each of two tasks. It shows the way, not skill; with TRAIN='--policy.init_from=lerobot/pi05_base' and more episodes
# the same commands train the real network. Needs .venv-libero (make libero-env).
#
#   PATH=$PWD/.venv/bin:$PATH bash examples/pi05_comet/libero_depth.sh
set -euo pipefail

DATA="${DATA:-data/libero_depth}"
OUT="${OUT:-outputs/libero_depth}"
LIBERO="${LIBERO:-.venv-libero/bin}"
EPISODES="${EPISODES:-8 9}" # of the committed set; LENGTH is that of an episode in the simulator
STEPS="${STEPS:-20}"
SAVE="${SAVE:-10}"
LENGTH="${LENGTH:-20}"
TRAIN="${TRAIN:---policy.paligemma_variant=tiny --policy.action_expert_variant=tiny --policy.dtype=float32 \
  --policy.geometry_dim=16 --policy.view_dim=8 --policy.memory_hidden=32 --policy.device=cpu}"
export MUJOCO_GL="${MUJOCO_GL:-egl}" LIBERO_CONFIG_PATH="${LIBERO_CONFIG_PATH:-$PWD/.cache/libero}"

test -e "$DATA" || "$LIBERO/python" examples/sample_data/record_depth.py --out "$DATA" --episodes $EPISODES

if [ -e "$OUT/run/checkpoints/last" ]; then
  lerobot-train --config_path="$OUT/run/checkpoints/last/pretrained_model/train_config.json" --resume=true
else
  # As `python -m lerobot_env_libero_depth --task=libero_object` prints them for pictures of 256 x 256.
  lerobot-train --policy.type=pi05_comet_vlm2 --policy.geometry_encoder=depth \
    --policy.camera_intrinsics='{observation.images.image: [-309.0193362, 309.0193362, 127.5, 127.5, 256, 256]}' \
    --policy.chunk_size=8 --policy.n_action_steps=4 --policy.memory_frames=3 $TRAIN --policy.push_to_hub=false \
    --dataset.repo_id=local/libero_depth --dataset.root="$DATA" --dataset.video_backend=pyav \
    --batch_size=4 --steps="$STEPS" --save_freq="$SAVE" --log_freq=5 --num_workers=0 --env_eval_freq=0 \
    --output_dir="$OUT/run"
fi

lerobot-eval --policy.path="$OUT/run/checkpoints/last/pretrained_model" \
  --env.type=dataset_replay --env.repo_id=local/libero_depth --env.root="$DATA" --env.report_dir="$OUT/report" \
  --eval.n_episodes=2 --eval.batch_size=2 --output_dir="$OUT/replay"

"$LIBERO/lerobot-eval" --policy.path="$OUT/run/checkpoints/last/pretrained_model" \
  --env.type=libero_depth --env.task=libero_object --env.task_ids='[3,8]' --env.episode_length="$LENGTH" \
  --env.observation_height=64 --env.observation_width=64 \
  --eval.n_episodes=2 --eval.batch_size=2 --eval.use_async_envs=false --output_dir="$OUT/simulator"
