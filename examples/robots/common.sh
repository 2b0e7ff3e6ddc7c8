# What the GR-2 recipes share; they source it. Variables that any of them takes:
#
#   DATA     folder of a GR-2 dataset in LeRobot's format (required)
#   REPO     its id, for the log and for checkpoints
#   OUT      folder of the run; an interrupted run goes on when the recipe is started again
#   HELD     how many of the first episodes are not trained on, but replayed at the end
#   STATE, ACTION, HEIGHT, WIDTH    widths of the vectors and size of the pictures in pixels
#   BATCH, STEPS, WORKERS           of the training
#   CUDA_VISIBLE_DEVICES            the GPU, where there are several

DATA="${DATA:?name the folder of a GR-2 dataset}"
REPO="${REPO:-local/gr2}"
HELD="${HELD:-2}"
STATE="${STATE:-45}"
ACTION="${ACTION:-37}"
HEIGHT="${HEIGHT:-480}"
WIDTH="${WIDTH:-640}"
WORKERS="${WORKERS:-4}"

EPISODES="$(sed -n 's/.*"total_episodes": *\([0-9]*\).*/\1/p' "$DATA/meta/info.json")"
if [ "${EPISODES:-0}" -le "$HELD" ]; then
  echo "$DATA has ${EPISODES:-no} episodes, and $HELD of them are held out: record more, or set HELD" >&2
  exit 1
fi
HELD_OUT="[$(seq -s, 0 $((HELD - 1)))]"
TRAINED_ON="[$(seq -s, "$HELD" $((EPISODES - 1)))]"

# A fresh stock policy takes every picture of the dataset for a colour camera, depth too. This is all it shall see.
# JSON, because beside --policy.path LeRobot reads nothing else.
COLOUR='{"observation.state": {"type": "STATE", "shape": ['"$STATE"']},
  "observation.images.camera_top": {"type": "VISUAL", "shape": [3, '"$HEIGHT, $WIDTH"']}}'

train() { # OPTIONS...: start a run, or go on with an interrupted one, with the options that it was started with
  if [ -e "$OUT/checkpoints/last" ]; then
    lerobot-train --config_path="$OUT/checkpoints/last/pretrained_model/train_config.json" --resume=true
  else
    lerobot-train "$@" --policy.push_to_hub=false \
      --dataset.repo_id="$REPO" --dataset.root="$DATA" --dataset.episodes="$TRAINED_ON" \
      --dataset.video_backend=pyav --num_workers="$WORKERS" \
      --batch_size="$BATCH" --steps="$STEPS" --save_freq="${SAVE:-5000}" --log_freq=50 --env_eval_freq=0 \
      --output_dir="$OUT"
  fi
}

replay() { # score the held-out episodes against their demonstrator; the report is $OUT-replay/report
  lerobot-eval --policy.path="$OUT/checkpoints/last/pretrained_model" \
    --env.type=dataset_replay --env.repo_id="$REPO" --env.root="$DATA" --env.episodes="$HELD_OUT" \
    --env.report_dir="$OUT-replay/report" \
    --eval.n_episodes="$HELD" --eval.batch_size=1 --output_dir="$OUT-replay"
}
