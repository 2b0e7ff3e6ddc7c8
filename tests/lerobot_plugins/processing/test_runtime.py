from lerobot_plugins.processing import runtime


def test_a_run_is_known_until_the_next_policy_is_made():
    runtime.bind("meta", "config")
    assert runtime.training_run() == runtime.TrainingRun("meta", "config")
    runtime.bind(None, "config")
    assert runtime.training_run() is None
