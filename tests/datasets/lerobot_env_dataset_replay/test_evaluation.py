"""Stock rollouts over recorded episodes: what is scored, what is kept, what counts."""

import csv
import json

import numpy as np
import pytest
from lerobot.envs import make_env
from replay_data import LENGTHS
from replay_policies import OraclePolicy, evaluate, identity_postprocessor

from lerobot_env_dataset_replay import DatasetReplayEnv
from lerobot_plugins.cli.main import main
from lerobot_plugins.errors import ZooError
from lerobot_plugins.evaluation import trace

pytestmark = pytest.mark.usefixtures("without_figures")

OFFSET = [0.1, -0.3, 0.0, 0.2]


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_the_recorded_actions_have_no_error(root, recorded, tmp_path):
    info = evaluate(OraclePolicy(recorded, horizon=5), root, report_dir=tmp_path / "report")
    assert (info["overall"]["avg_sum_reward"], info["overall"]["pc_success"]) == (0, 100)
    metrics = metrics_of(tmp_path / "report")
    assert metrics["complete"]
    assert metrics["counts"]["frames"] == sum(LENGTHS)
    for name in ("executed", "chunk"):
        assert set(metrics[name]["raw"].values()) == set(metrics[name]["normalized"].values()) == {0.0}
    # Chunks every second frame; steps past the end are not scored.
    assert metrics["counts"]["chunks"] == 4 + 2 + 5
    assert metrics["chunk"]["per_horizon"][4]["support"] == 2 + 0 + 3
    assert metrics["warnings"] == ["Constant in the dataset, so left out of normalised numbers: fixed."]


@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("n_episodes", [3, 4, 7])
def test_lerobots_average_is_the_reports_error_whatever_repeats(
    root, recorded, tmp_path, batch_size, n_episodes
):
    policy = OraclePolicy(recorded, offset=OFFSET, horizon=4)
    info = evaluate(
        policy, root, batch_size=batch_size, n_episodes=n_episodes, report_dir=tmp_path, tolerance=0.3
    )
    metrics = metrics_of(tmp_path)
    assert info["overall"]["avg_sum_reward"] == pytest.approx(-metrics["executed"]["raw"]["mae"], abs=1e-6)
    assert info["overall"]["avg_sum_reward"] == pytest.approx(
        metrics["lerobot_eval"]["avg_sum_reward"], abs=1e-12
    )
    assert info["overall"]["pc_success"] == metrics["lerobot_eval"]["pc_success"] == 100
    assert metrics["counts"]["episodes"] == 3
    assert metrics["executed"]["raw"]["mae"] == pytest.approx(0.6 / 4, abs=1e-6)


def test_the_batch_size_does_not_change_the_metrics(root, recorded, tmp_path):
    policy = OraclePolicy(recorded, offset=OFFSET, horizon=4)
    for batch_size in (1, 2, 4):
        evaluate(policy, root, batch_size=batch_size, n_episodes=4, report_dir=tmp_path / str(batch_size))
    assert metrics_of(tmp_path / "1") == metrics_of(tmp_path / "2") == metrics_of(tmp_path / "4")


def test_an_episode_with_another_error_weighs_as_one_episode(root, recorded, tmp_path):
    """Only the first of three episodes is off: averages over episodes, repeats or not."""
    shifted = [recorded[0] + np.float32(0.4), *recorded[1:]]
    info = evaluate(OraclePolicy(shifted), root, batch_size=2, n_episodes=8, report_dir=tmp_path)
    assert info["overall"]["avg_sum_reward"] == pytest.approx(-0.4 / 3, abs=1e-6)
    metrics = metrics_of(tmp_path)
    assert metrics["lerobot_eval"]["avg_sum_reward"] == pytest.approx(-0.4 / 3, abs=1e-6)
    assert metrics["executed"]["raw"]["mae"] == pytest.approx(0.4 * 7 / 20, abs=1e-6)
    assert metrics["lerobot_eval"]["pc_success"] == pytest.approx(100 * 2 / 3)


def test_a_repeat_in_the_rollout_of_the_only_episode_waits_for_it(root, recorded, tmp_path):
    info = evaluate(
        OraclePolicy(recorded, offset=OFFSET),
        root,
        batch_size=2,
        n_episodes=2,
        episodes=[2],
        report_dir=tmp_path,
    )
    rewards = info["per_task"][0]["metrics"]["sum_rewards"]
    assert rewards == pytest.approx([-0.15, -0.15], abs=1e-6)
    assert metrics_of(tmp_path)["counts"]["frames"] == 9


def test_chosen_episodes_are_played_in_their_order(root, recorded, tmp_path):
    policy = OraclePolicy(recorded)
    evaluate(policy, root, n_episodes=2, episodes=[2, 0], report_dir=tmp_path)
    places = [tuple(batch["observation.place"][0].int().tolist()) for batch in policy.seen]
    assert places == [(2, t) for t in range(9)] + [(0, t) for t in range(7)]
    assert policy.seen[0]["task"] == ["pick up the soup"]
    with open(tmp_path / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["episode_index"]), int(row["frame_index"])) for row in rows] == places
    np.testing.assert_allclose([float(row["gt_x"]) for row in rows[:9]], recorded[2][:, 0], rtol=1e-7)


def test_each_frame_has_its_task(root, recorded, tmp_path):
    policy = OraclePolicy(recorded)
    evaluate(policy, root, batch_size=2, n_episodes=2, report_dir=tmp_path)
    assert policy.seen[0]["task"] == ["pick up the soup", "open the drawer, slowly"]
    tasks = {entry["task"]: entry["rows"] for entry in metrics_of(tmp_path)["executed"]["per_task"]}
    assert tasks == {"pick up the soup": 7, "open the drawer, slowly": 4}


def test_a_policy_that_publishes_nothing_has_no_chunk_block(root, recorded, tmp_path):
    halved = [actions * 2 for actions in recorded]
    evaluate(OraclePolicy(halved), root, postprocessor=identity_postprocessor(), report_dir=tmp_path)
    metrics = metrics_of(tmp_path)
    assert metrics["chunk"] is None
    assert metrics["executed"]["raw"]["mae"] == 0


def test_an_interrupted_evaluation_keeps_what_is_finished(root, recorded, tmp_path):
    policy = OraclePolicy(recorded, offset=OFFSET, fail_at=(1, 2))
    with pytest.raises(KeyboardInterrupt):
        evaluate(policy, root, report_dir=tmp_path)
    metrics = metrics_of(tmp_path)
    assert not metrics["complete"]
    assert [entry["episode_index"] for entry in metrics["executed"]["per_episode"]] == [0]
    assert not trace.listening()
    # What a kill leaves behind: the episodes, no results.
    for name in ("metrics.json", "report.html", "predictions.csv", "actions.png"):
        (tmp_path / name).unlink()
    assert main(["report", str(tmp_path)]) == 1
    assert metrics_of(tmp_path) == metrics


def test_non_finite_actions_are_counted_not_averaged(root, recorded, tmp_path):
    spoiled = [actions.copy() for actions in recorded]
    spoiled[1][2, 0] = np.inf
    spoiled[1][3] = np.nan
    info = evaluate(OraclePolicy(spoiled, offset=OFFSET), root, n_episodes=4, report_dir=tmp_path)
    metrics = metrics_of(tmp_path)
    assert metrics["counts"]["non_finite"]["executed_values"] == 5
    assert metrics["counts"]["non_finite"]["executed_frames"] == 2
    assert metrics["executed"]["raw"]["mae"] is None
    assert metrics["lerobot_eval"]["avg_sum_reward"] is None
    # LeRobot leaves the episode out of its average; it is no success.
    assert info["overall"]["avg_sum_reward"] == pytest.approx(-0.15, abs=1e-6)
    assert np.isnan(info["per_task"][0]["metrics"]["sum_rewards"][1])
    assert not info["per_task"][0]["metrics"]["successes"][1]
    assert main(["report", str(tmp_path)]) == 1


def test_another_action_width_is_an_error_that_names_both(root, recorded, tmp_path):
    narrow = [actions[:, :3] for actions in recorded]
    with pytest.raises(ZooError, match="3 dimensions from the policy") as caught:
        evaluate(OraclePolicy(narrow), root, report_dir=tmp_path)
    assert "4 dimensions in the dataset: x, y, gripper, fixed" in str(caught.value)


def test_another_chunk_width_is_an_error(root, recorded, tmp_path):
    class WideChunks(OraclePolicy):
        def select_action(self, batch, **kwargs):
            action = super().select_action(batch, **kwargs)
            trace.publish_chunk(action.new_zeros(1, 2, 32), [0])
            return action

    with pytest.raises(ZooError, match="action chunk does not fit"):
        evaluate(WideChunks(recorded), root, report_dir=tmp_path)


def test_videos_show_every_frame(root, recorded, tmp_path):
    import av

    info = evaluate(
        OraclePolicy(recorded, horizon=4),
        root,
        batch_size=2,
        report_dir=tmp_path,
        videos_dir=tmp_path / "videos",
    )
    paths = info["overall"]["video_paths"]
    assert len(paths) == 4
    with av.open(paths[0]) as video:
        frames = list(video.decode(video=0))
        assert video.streams.video[0].average_rate == 10
    assert len(frames) == LENGTHS[0]
    assert frames[0].width >= 512


def test_later_evaluations_of_one_process_get_their_own_folder(root, recorded, tmp_path):
    folder = tmp_path / "report"
    for offset in (0.0, 0.1, 0.2):
        evaluate(OraclePolicy(recorded, offset=offset), root, report_dir=folder)
    found = [
        metrics_of(f)["executed"]["raw"]["mae"] for f in (folder, folder / "eval_0002", folder / "eval_0003")
    ]
    assert found == pytest.approx([0, 0.1, 0.2], abs=1e-6)


def test_a_fresh_process_replaces_a_report_but_nothing_else(root, recorded, tmp_path, monkeypatch):
    from lerobot_env_dataset_replay import recorder

    folder = tmp_path / "report"
    for offset, chosen in ((0.0, None), (0.1, [1])):
        monkeypatch.setattr(recorder, "_used", set())
        evaluate(OraclePolicy(recorded, offset=offset), root, report_dir=folder, episodes=chosen)
    assert metrics_of(folder)["counts"]["episodes"] == 1
    assert [path.name for path in (folder / "episodes").iterdir()] == ["episode_000001.npz"]

    other = tmp_path / "mine"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    monkeypatch.setattr(recorder, "_used", set())
    with pytest.raises(ZooError, match="holds something else") as caught:
        evaluate(OraclePolicy(recorded), root, report_dir=other)
    assert "notes.txt" in str(caught.value)
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_an_evaluation_that_never_begins_leaves_the_old_report(root, recorded, tmp_path, monkeypatch):
    from lerobot_env_dataset_replay import recorder

    evaluate(OraclePolicy(recorded), root, report_dir=tmp_path)
    before = (tmp_path / "metrics.json").read_bytes()
    monkeypatch.setattr(recorder, "_used", set())
    config = DatasetReplayEnv(repo_id="local/replay", root=root, report_dir=tmp_path)
    make_env(config, n_envs=2)["dataset_replay"][0].close()
    assert (tmp_path / "metrics.json").read_bytes() == before
    assert not trace.listening()


def test_a_policy_that_does_not_fit_leaves_the_old_report(root, recorded, tmp_path, monkeypatch):
    from lerobot_env_dataset_replay import recorder

    folder = tmp_path / "report"
    evaluate(OraclePolicy(recorded), root, report_dir=folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(recorder, "_used", set())
    narrow = [actions[:, :3] for actions in recorded]
    with pytest.raises(ZooError, match="3 dimensions"):
        evaluate(OraclePolicy(narrow), root, report_dir=folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_without_a_finished_episode_nothing_is_written(root, recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for report_dir in (None, tmp_path / "report"):
        with pytest.raises(KeyboardInterrupt):
            evaluate(OraclePolicy(recorded, fail_at=(0, 3)), root, report_dir=report_dir)
    assert list(tmp_path.iterdir()) == []


def test_the_default_report_folder_is_new(root, recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate(OraclePolicy(recorded), root)
    evaluate(OraclePolicy(recorded), root)
    folders = list((tmp_path / "outputs/replay").iterdir())
    assert len(folders) == 1
    assert folders[0].name.startswith("replay_20")
    assert metrics_of(folders[0] / "eval_0002")["complete"]
