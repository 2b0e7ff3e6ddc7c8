# What the BEHAVIOR-1K recipes share; they source it. Variables that any of them takes:
#
#   B1K       folder of the recorded demonstrations, 2025-challenge-demos (required)
#   TASKS     which tasks, by number or name: 0,1,make_pizza
#   DATA      folder of the converted dataset; made from B1K if it is missing
#   OUT       folder of the run; an interrupted run goes on when the recipe is started again
#   GPUS      of this machine; BATCH is per GPU
#   LAUNCH    accelerate, or torchrun
#   NODES, NODE, MASTER    number of machines, this one's number, the address of the first: several machines
#   HELD      how many of the first episodes are not trained on, but replayed at the end
#   BATCH, STEPS, SAVE, LOG, WORKERS    of the training; WORKERS is per GPU
#
# One GPU, to see that all is well (the published smoke run): GPUS=1 BATCH=8 STEPS=1000 SAVE=200 LOG=50.
# The dimensions of a run with fewer GPUs: GPUS x BATCH is the batch.

B1K="${B1K:?name the folder of the BEHAVIOR-1K demonstrations}"
GPUS="${GPUS:-8}"
NODES="${NODES:-1}"
HELD="${HELD:-2}"
WORKERS="${WORKERS:-10}"
LOG="${LOG:-100}"

prepare() { # OPTIONS...: convert the demonstrations, once; pictures as small as the network sees them
  test -e "$DATA" || lerobot-plugins convert behavior1k "$B1K" --repo-id=local/b1k --root="$DATA" --size=224 "$@"
}

launch() { # OPTIONS...: lerobot-train in a process for each GPU, as LeRobot is started on many
  export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
  if [ "$GPUS" = 1 ] && [ "$NODES" = 1 ]; then
    lerobot-train "$@"
  elif [ "${LAUNCH:-accelerate}" = torchrun ]; then
    torchrun --nnodes="$NODES" --node-rank="${NODE:-0}" --nproc-per-node="$GPUS" \
      --master-addr="${MASTER:-127.0.0.1}" --master-port=29500 "$(which lerobot-train)" "$@"
  else
    accelerate launch --multi_gpu --num_machines="$NODES" --machine_rank="${NODE:-0}" \
      --num_processes="$((GPUS * NODES))" --main_process_ip="${MASTER:-127.0.0.1}" --main_process_port=29500 \
      "$(which lerobot-train)" "$@"
  fi
}

train() { # OPTIONS...: start a run, or go on with an interrupted one, with the options that it was started with
  if [ -e "$OUT/run/checkpoints/last" ]; then
    launch --config_path="$OUT/run/checkpoints/last/pretrained_model/train_config.json" --resume=true
    return
  fi
  local episodes
  episodes="$(sed -n 's/.*"total_episodes": *\([0-9]*\).*/\1/p' "$DATA/meta/info.json")"
  if [ "${episodes:-0}" -le "$HELD" ]; then
    echo "$DATA has ${episodes:-no} episodes, and $HELD of them are held out: convert more, or set HELD" >&2
    exit 1
  fi
  launch "$@" --policy.push_to_hub=false --policy.gradient_checkpointing=true \
    --dataset.repo_id=local/b1k --dataset.root="$DATA" --dataset.video_backend=pyav \
    --dataset.episodes="[$(seq -s, "$HELD" $((episodes - 1)))]" \
    --batch_size="$BATCH" --steps="$STEPS" --save_freq="$SAVE" --log_freq="$LOG" --num_workers="$WORKERS" \
    --env_eval_freq=0 --seed=42 --output_dir="$OUT/run"
}

validate() { # offline validation: errors of base, torso, arms and grippers on the held-out episodes
  lerobot-eval --policy.path="$OUT/run/checkpoints/last/pretrained_model" \
    --env.type=dataset_replay --env.repo_id=local/b1k --env.root="$DATA" \
    --env.episodes="[$(seq -s, 0 $((HELD - 1)))]" --env.report_dir="$OUT/report" \
    --eval.n_episodes="$HELD" --eval.batch_size=1 --output_dir="$OUT/eval"
}
