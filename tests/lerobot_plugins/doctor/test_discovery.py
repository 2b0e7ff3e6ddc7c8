"""LeRobot imports distributions by their exact name: hyphens and stale copies are findings."""

from importlib.metadata import distributions

import pytest
from fake_distributions import install

from lerobot_plugins.doctor import discovery

GROUP = "lerobot_plugins.policies"


@pytest.fixture
def sites(tmp_path, monkeypatch):
    """Two folders that alone count as installed."""
    folders = [tmp_path / "one", tmp_path / "two"]
    monkeypatch.setattr(discovery, "distributions", lambda: distributions(path=[str(f) for f in folders]))
    return folders


def test_the_exact_name_is_found(sites):
    install(sites[0], "lerobot_policy_zoo", "0.1.0", {GROUP: {"a": "a"}})
    finding = discovery.check_discovery()
    assert finding.state == "ok"
    assert "0.1.0" in finding.detail


def test_a_hyphenated_install_is_passed_over_by_lerobot(sites):
    install(sites[0], "lerobot-policy-zoo", "0.1.0")
    finding = discovery.check_discovery()
    assert finding.state == "problem"
    assert "lerobot-policy-zoo" in finding.detail
    assert "pip uninstall" in finding.do


def test_not_installed(sites):
    install(sites[0], "lerobot", "0.6.1")
    finding = discovery.check_discovery()
    assert finding.state == "problem"
    assert "not installed" in finding.detail


def test_the_same_metadata_twice_is_an_editable_install(sites):
    for site in sites:
        install(site, "lerobot_policy_zoo", "0.1.0", {GROUP: {"a": "a"}})
    assert discovery.check_discovery().state == "ok"


@pytest.mark.parametrize(("version", "plugin"), [("0.0.9", "a"), ("0.1.0", "an_older_one")])
def test_two_copies_that_differ_are_stale(sites, version, plugin):
    install(sites[0], "lerobot_policy_zoo", "0.1.0", {GROUP: {"a": "a"}})
    install(sites[1], "lerobot_policy_zoo", version, {GROUP: {plugin: "a"}})
    finding = discovery.check_discovery()
    assert finding.state == "problem"
    assert all(str(site) in finding.detail for site in sites)


def test_another_plugin_with_hyphens_is_named(sites):
    install(sites[0], "lerobot_policy_zoo", "0.1.0")
    install(sites[0], "lerobot-robot-thing", "3.0")
    install(sites[0], "lerobot-something-else", "1.0")
    finding = discovery.check_discovery()
    assert finding.state == "problem"
    assert "lerobot-robot-thing" in finding.detail
    assert "something-else" not in finding.detail


def test_metadata_without_a_name_is_survived(sites):
    install(sites[0], "lerobot_policy_zoo", "0.1.0")
    (sites[0] / "half-1.0.dist-info").mkdir()
    assert discovery.check_discovery().state == "ok"
