"""`lerobot-plugins doctor`: output, exit status, and that a failing check stops no other."""

import json
import sys

import pytest

from lerobot_plugins.cli.main import main
from lerobot_plugins.doctor import checks
from lerobot_plugins.doctor.finding import OK, PROBLEM, WARNING, Finding

GOOD = Finding("good", OK, "all is well")
LIMIT = Finding("limit", WARNING, "no GPU", "pass --policy.device=cpu")
BAD = Finding("bad", PROBLEM, "torch 1.0 is outside", "pip install 'torch>=2'")


@pytest.fixture
def only(monkeypatch):
    """Replace the checks by ones that return these findings, or raise these errors."""

    def replace(*outcomes):
        def check(outcome):
            if isinstance(outcome, Finding):
                return outcome
            raise outcome

        made = {f"check {i}": lambda outcome=outcome: check(outcome) for i, outcome in enumerate(outcomes)}
        monkeypatch.setattr(checks, "all_checks", lambda online: made)

    return replace


def test_warnings_are_no_findings_for_the_exit_status(only, capsys):
    only(GOOD, LIMIT)
    assert main(["doctor"]) == 0
    good, limit, do = capsys.readouterr().out.splitlines()
    assert good.split() == ["ok", "good", "all", "is", "well"]
    assert limit.split()[:2] == ["warning", "limit"]
    assert do.strip() == "do: pass --policy.device=cpu"


def test_a_problem_makes_the_exit_status_1(only):
    only(GOOD, BAD)
    assert main(["doctor"]) == 1


def test_json(only, capsys):
    only(GOOD, BAD)
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "findings": [
            {"name": "good", "state": "ok", "detail": "all is well", "do": None},
            {
                "name": "bad",
                "state": "problem",
                "detail": "torch 1.0 is outside",
                "do": "pip install 'torch>=2'",
            },
        ],
    }


@pytest.mark.parametrize("error", [ImportError("libcudart.so is missing"), SystemExit(1), KeyError("Name")])
def test_a_check_that_fails_is_a_problem_and_stops_no_other(only, capsys, error):
    only(error, GOOD)
    assert main(["doctor", "--json"]) == 1
    failed, good = json.loads(capsys.readouterr().out)["findings"]
    assert failed["name"] == "check 0"
    assert failed["state"] == "problem"
    assert type(error).__name__ in failed["detail"]
    assert good["state"] == "ok"


def test_a_missing_package_costs_the_checks_that_need_it_and_no_other(monkeypatch):
    monkeypatch.setitem(sys.modules, "lerobot_plugins.doctor.weights", None)
    findings = {finding.name: finding for finding in checks.run_checks()}
    failed = {name for name, finding in findings.items() if "could not be checked" in finding.detail}
    assert failed == {"tokenizer", "weights"}


def test_wrong_use_exits_with_2(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["doctor", "--no-such-option"])
    assert exit_info.value.code == 2
    assert "--no-such-option" in capsys.readouterr().err


def test_the_real_checks_all_come_to_a_verdict_here():
    findings = checks.run_checks()
    assert [finding.name for finding in findings] == list(checks.all_checks())
    assert not [finding for finding in findings if "could not be checked" in finding.detail]
    # Whatever is not fine says what to do.
    assert all(finding.do for finding in findings if finding.state != OK)
