#!/usr/bin/env bash
# The way of a frame, from recorded episodes to a scored policy. Every command is printed as it is run.
set -euo pipefail
cd "$(dirname "$0")/.."

STEPS="${STEPS:-400}"
OUT=outputs/demo

# Progress bars as lines, one every ten seconds.
export TQDM_MININTERVAL=10

# Print a command as it can be copied, then run it. Without FFmpeg, LeRobot reports at length that torchcodec
# cannot be loaded, and decodes with PyAV: that report is left out.
run() {
  printf '\n\033[1m$'
  printf ' %q' "$@"
  printf '\033[0m\n'
  "$@" 2>&1 | tr '\r' '\n' |
    sed -u -e '/Could not load libtorchcodec/,/end of libtorchcodec loading traceback/d' -e '/^ *$/d' \
      -e '/torchcodec. is installed but cannot be loaded/d' -e '/Running rollout with at most/d'
}

started=$SECONDS
rm -rf "$OUT" "$OUT.partial"
mkdir -p "$OUT"

echo "1. Recorded episodes (RLDS, TFRecord files) become a LeRobot dataset, without TensorFlow."
run lerobot-plugins convert rlds examples/sample_data/rlds/libero_sample --preset libero \
  --repo-id local/libero_sample --root "$OUT/dataset" --images jpeg

echo
echo "2. The stock lerobot-train trains a tiny paligemma_flow on the first eight episodes."
run lerobot-train --policy.type=paligemma_flow \
  --policy.paligemma_variant=tiny --policy.action_expert_variant=tiny --policy.dtype=float32 \
  --policy.chunk_size=16 --policy.n_action_steps=8 \
  --policy.optimizer_lr=1e-3 --policy.vlm_lr_scale=1 --policy.scheduler_warmup_steps=30 \
  --policy.device=cpu --policy.push_to_hub=false \
  --dataset.repo_id=local/libero_sample --dataset.root="$OUT/dataset" \
  --dataset.episodes='[0,1,2,3,4,5,6,7]' --dataset.video_backend=pyav \
  --batch_size=16 --steps="$STEPS" --log_freq=50 --num_workers=0 --output_dir="$OUT/train"

echo
echo "3. The stock lerobot-eval replays two episodes the policy has never seen."
run lerobot-eval --policy.path="$OUT/train/checkpoints/last/pretrained_model" --policy.device=cpu \
  --env.type=dataset_replay --env.repo_id=local/libero_sample --env.root="$OUT/dataset" \
  --env.episodes='[8,9]' --env.report_dir="$OUT/report" \
  --eval.n_episodes=2 --eval.batch_size=2 --output_dir="$OUT/eval"

echo
echo "4. The figures, beside what trivial policies would score."
run lerobot-plugins report "$OUT/report"

echo
echo "The weights started at random and saw eight short episodes: this shows that the way works, not skill."
echo "Report:  $OUT/report/report.html"
echo "Videos:  $OUT/eval/videos/"
echo "Time:    $((SECONDS - started)) s"
