#!/usr/bin/env bash
# A GR-2 dataset without a GR-2: stock lerobot-record on the simulated robot, which waves. 45 numbers of state, 37 of
# action, colour and depth. For trying the recipes beside it out, not for learning anything. Needs the extra `sim`
# and a machine that draws two pictures thirty times a second; at less, lower FPS, HEIGHT and WIDTH.
#
#   DATA=data/simulated_gr2 bash examples/robots/record_simulated_gr2.sh
set -euo pipefail

DATA="${DATA:?name the folder of the dataset to record}"

lerobot-record --robot.type=fourier_gr2 --robot.backend=sim \
  --robot.sim_height="${HEIGHT:-480}" --robot.sim_width="${WIDTH:-640}" --robot.use_depth="${DEPTH:-true}" \
  --teleop.type=scripted_motion --teleop.robot=fourier_gr2 \
  --dataset.repo_id="${REPO:-local/gr2}" --dataset.no_stamp=true --dataset.root="$DATA" \
  --dataset.single_task="${TASK:-Wave with both arms}" --dataset.fps="${FPS:-30}" \
  --dataset.num_episodes="${EPISODES:-10}" --dataset.episode_time_s="${SECONDS_EACH:-10}" \
  --dataset.reset_time_s=0 --dataset.streaming_encoding=true --dataset.push_to_hub=false --play_sounds=false

lerobot-plugins doctor --repo-id "${REPO:-local/gr2}" --root "$DATA" --robot fourier_gr2
