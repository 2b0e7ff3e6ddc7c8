#!/usr/bin/env bash
# What can be learned from nothing but a hundred scripted demonstrations, on CPU cores: a tiny waypoint_vla, a tiny
# paligemma_flow and a small ACT, each for STEPS steps at batch 32 on the same eighty episodes, then measured on the twenty
# others and in the LIBERO simulator from those twenty's initial states. A step takes 1 to 2.5 s, an episode in the
# simulator up to half a minute: three hours and more on one core. What came out: docs/waypoint_vla.md. Made of
# demonstrations of tasks 3 and 8 of libero_object, fifty initial states each, 12 to 25 s an episode:
#
#   make libero-env
#   .venv-libero/bin/python examples/sample_data/make_demonstrations.py \
#     --tasks 3 8 --episodes 50 --out .cache/demonstrations
#   .venv/bin/python examples/sample_data/write_sets.py --recordings .cache/demonstrations --out data/sets
#   PATH=$PWD/.venv/bin:$PATH RLDS=data/sets/rlds/libero_sample bash examples/waypoint_vla/from_scratch.sh
set -euo pipefail

RLDS="${RLDS:?name the folder of the demonstrations in RLDS form}"
DATA="${DATA:-data/demonstrations}"
OUT="${OUT:-outputs/from_scratch}"
SIMULATOR="${SIMULATOR:-.venv-libero/bin/lerobot-eval}"
STEPS="${STEPS:-3000}"
# The two tasks take turns: episodes 0 to 19 start from the initial states 0 to 9, which the simulator also begins with.
HELD_OUT="[$(seq -s, 0 19)]"
TRAINED_ON="[$(seq -s, 20 99)]"

test -e "$DATA" || lerobot-plugins convert rlds "$RLDS" --preset libero --repo-id local/demonstrations --root "$DATA" \
  --images jpeg

measure() { # NAME OPTIONS...: train, replay the held-out episodes, act in the simulator
  local name="$1"
  shift
  test -e "$OUT/$name/checkpoints/$(printf %06d "$STEPS")" || lerobot-train --policy.device=cpu --policy.push_to_hub=false "$@" \
    --dataset.repo_id=local/demonstrations --dataset.root="$DATA" --dataset.episodes="$TRAINED_ON" \
    --batch_size=32 --steps="$STEPS" --save_freq=500 --log_freq=50 --num_workers=0 --env_eval_freq=0 \
    --output_dir="$OUT/$name"
  lerobot-eval --policy.path="$OUT/$name/checkpoints/last/pretrained_model" --policy.device=cpu \
    --env.type=dataset_replay --env.repo_id=local/demonstrations --env.root="$DATA" --env.episodes="$HELD_OUT" \
    --eval.n_episodes=20 --eval.batch_size=4 --output_dir="$OUT/$name-replay"
  MUJOCO_GL="${MUJOCO_GL:-egl}" LIBERO_CONFIG_PATH="${LIBERO_CONFIG_PATH:-$PWD/.cache/libero}" \
  "$SIMULATOR" --policy.path="$OUT/$name/checkpoints/last/pretrained_model" --policy.device=cpu \
    --env.type=libero --env.task=libero_object --env.task_ids='[3,8]' \
    --env.observation_height=64 --env.observation_width=64 --env.episode_length=200 \
    --eval.n_episodes=10 --eval.batch_size=2 --eval.use_async_envs=false --output_dir="$OUT/$name-simulator"
}

measure waypoint_vla --policy.type=waypoint_vla --policy.robot_preset=libero \
  --policy.paligemma_variant=tiny --policy.action_expert_variant=tiny --policy.dtype=float32 \
  --policy.gradient_strategy=none --policy.optimizer_lr=8e-4 --policy.scheduler_warmup_steps=100 \
  --policy.prompt_max_len=160 --policy.segments_per_plan=3
measure paligemma_flow --policy.type=paligemma_flow \
  --policy.paligemma_variant=tiny --policy.action_expert_variant=tiny --policy.dtype=float32 \
  --policy.chunk_size=16 --policy.n_action_steps=8 \
  --policy.optimizer_lr=1e-3 --policy.vlm_lr_scale=1 --policy.scheduler_warmup_steps=100
measure act --policy.type=act --policy.dim_model=256 --policy.n_heads=4 --policy.dim_feedforward=1024 \
  --policy.pretrained_backbone_weights=null --policy.chunk_size=32 --policy.n_action_steps=8 \
  --policy.optimizer_lr=1e-4 --policy.optimizer_lr_backbone=1e-4
