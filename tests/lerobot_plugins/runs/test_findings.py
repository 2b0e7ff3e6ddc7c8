"""Seeded faults of a training run are found, and a good run has none."""

import json
from pathlib import Path

import numpy as np
import pytest

from lerobot_plugins.cli.main import main
from lerobot_plugins.runs.findings import findings
from lerobot_plugins.runs.history import History, history_of
from lerobot_plugins.runs.trend import trend

STEPS = np.arange(10, 2001, 10)


def run(**changes: np.ndarray) -> History:
    """A run that falls, with noise, a warm-up and a cosine."""
    random = np.random.default_rng(0)
    share = STEPS / STEPS[-1]
    series = {
        "loss": 1.0 / (1 + 3 * share) + random.normal(0, 0.02, len(STEPS)),
        "lr": 1e-4 * np.minimum(share * 10, 0.51 + 0.5 * np.cos(np.pi * share)),
        "grad_norm": random.lognormal(0, 0.3, len(STEPS)),
        "update_s": np.full(len(STEPS), 0.3),
        "dataloading_s": np.full(len(STEPS), 0.01),
    } | changes
    rows = [(int(step), {name: float(s[i]) for name, s in series.items()}) for i, step in enumerate(STEPS)]
    return history_of(Path("run.log"), "lerobot", rows)


def states(history: History) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings(history)}


def found(history: History, name: str):
    return next(finding for finding in findings(history) if finding.name == name)


def test_a_good_run_has_no_finding():
    assert set(states(run()).values()) == {"ok"}
    assert found(run(), "loss").detail.startswith("falling over steps 1010 to 2000")


def test_noise_is_not_a_trend():
    random = np.random.default_rng(1)
    flat = found(run(loss=1 + random.normal(0, 0.1, len(STEPS))), "loss")
    assert flat.state == "ok"
    assert flat.detail.startswith("flat")


def test_a_rising_loss_is_a_problem():
    assert found(run(loss=1 + STEPS / 1e4), "loss").state == "problem"


def test_values_that_are_not_finite_are_named_with_their_step():
    loss = np.ones(len(STEPS))
    loss[50:53] = np.nan
    finding = found(run(loss=loss), "finite")
    assert (finding.state, "loss is nan at step 510, 3 of 200 logged steps" in finding.detail) == (
        "problem",
        True,
    )


def test_a_spike_of_the_gradient_is_named():
    norm = np.ones(len(STEPS))
    norm[[100, 150]] = 50, 11
    finding = found(run(grad_norm=norm), "gradients")
    assert finding.state == "warning"
    assert "2 spikes" in finding.detail
    assert "step 1010: 50 after 1" in finding.detail


def test_a_gradient_of_zero_is_a_problem():
    assert found(run(grad_norm=np.zeros(len(STEPS))), "gradients").state == "problem"


def test_a_warm_up_that_never_ended():
    assert states(run(lr=1e-6 * STEPS))["warm-up"] == "warning"


def test_a_rate_that_is_used_up():
    rate = np.where(STEPS > 1500, 0.9e-7, 1e-4)
    finding = found(run(lr=rate), "rate")
    assert (finding.state, "since step 1510" in finding.detail) == ("warning", True)


def test_loading_that_takes_longer_than_training():
    assert states(run(dataloading_s=np.full(len(STEPS), 0.4)))["waiting"] == "warning"


@pytest.mark.parametrize("correlated", [False, True])
def test_the_interval_covers_the_truth(correlated):
    """Of 400 noisy lines about 95 % have the true change in their interval, correlated noise or not."""
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        noise = random.normal(0, 1, 300)
        if correlated:
            for i in range(1, len(noise)):
                noise[i] += 0.5 * noise[i - 1]
        x = np.arange(300.0)
        low, high = trend(x, -0.001 * x + noise).interval
        covered += low <= -0.001 * 299 <= high
    assert 0.86 < covered / 400 < 0.99


def test_the_command_prints_draws_and_exits_with_1_on_findings(tmp_path, capsys):
    lines = [f"Step {step}: loss={1 / step:.6f}, grad_norm=1.0, lr=1e-4" for step in range(1, 60)]
    log = tmp_path / "run.log"
    log.write_text("\n".join(lines))
    assert main(["runs", "analyse", str(log), "--output", str(tmp_path / "out")]) == 0
    assert "falling" in capsys.readouterr().out
    page = (tmp_path / "out" / "analysis.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("https://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "").replace("https://matplotlib.org", "")
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    log.write_text("\n".join([*lines, "Step 60: loss=nan, grad_norm=nan"]))
    assert main(["runs", "analyse", str(log), "--json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    assert [f["name"] for f in listed["findings"] if f["state"] == "problem"] == ["finite", "finite"]


def test_a_cosine_to_zero_ends_without_a_finding():
    rate = 1e-4 * (0.5 + 0.5 * np.cos(np.pi * STEPS / STEPS[-1]))
    assert rate[-1] < 1e-3 * rate.max()
    assert found(run(lr=rate), "rate").state == "ok"


def test_parameters_whose_norm_is_constant():
    """As published of a run in its warm-up: the loss falls by chance, the norm keeps all its digits."""
    still = found(run(param_norm=np.full(len(STEPS), 1803.1594)), "parameters")
    assert "1803.1594" in still.detail
    assert found(run(param_norm=1803 + STEPS / 1e5), "parameters").state == "ok"


@pytest.mark.parametrize(
    ("count", "correlation", "most"), [(20, 0.0, 0.07), (60, 0.0, 0.07), (60, 0.5, 0.12)]
)
def test_noise_is_rarely_called_a_trend_however_few_the_lines(count, correlation, most):
    random, wrong, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        noise = random.normal(size=count + 100)
        for i in range(1, len(noise)):
            noise[i] += correlation * noise[i - 1]
        wrong += trend(np.arange(count), noise[100:]).direction != "flat"
    assert wrong / trials <= most
