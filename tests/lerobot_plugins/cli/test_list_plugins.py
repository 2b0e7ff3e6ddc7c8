"""`lerobot-plugins list`: a table or JSON, and status 1 when a plugin is broken."""

import json

import pytest
from fake_distributions import install

from lerobot_plugins import registry
from lerobot_plugins.cli.main import main


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the import path, and a registry that sees only the fake group."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_found", {})
    monkeypatch.setattr(registry, "GROUPS", {"policy": "fake.policies"})
    return tmp_path


def add(site, name, source):
    module = f"listed_{name}"
    install(site, f"{name}_dist", "0.3", {"fake.policies": {name: module}}, {module: source})


def test_all_loaded_is_good(site, capsys):
    add(site, "alpha", "")
    assert main(["list"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["TYPE", "KIND", "DISTRIBUTION", "VERSION", "STATE"]
    assert row.split() == ["alpha", "policy", "alpha_dist", "0.3", "loaded"]
    assert header.index("KIND") == row.index("policy")


def test_a_broken_one_is_a_finding_with_its_cause(site, capsys):
    add(site, "alpha", "")
    add(site, "broken", "raise ImportError('the SDK is missing')")
    assert main(["list"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-1] == "broken"
    assert lines[3].strip() == "ImportError: the SDK is missing"


def test_json_holds_the_same_facts_whatever_plugins_print(site, capsys):
    add(site, "broken", "print('hello from a plugin')\nraise ImportError('the SDK is missing')")
    assert main(["list", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "plugins": [
            {
                "type": "broken",
                "kind": "policy",
                "distribution": "broken_dist",
                "version": "0.3",
                "module": "listed_broken",
                "state": "broken",
                "cause": "ImportError: the SDK is missing",
            }
        ],
    }


def test_no_plugins_says_where_to_look(site, capsys):
    assert main(["list"]) == 0
    assert "lerobot-plugins doctor" in capsys.readouterr().out
