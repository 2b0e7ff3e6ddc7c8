"""Broken plugins and names that are taken."""

import pytest

from lerobot_plugins import registry
from lerobot_plugins.doctor import plugins
from lerobot_plugins.registry import BROKEN, DISABLED, LOADED, Plugin


@pytest.fixture
def found(monkeypatch):
    """Make the registry find these, loaded already, and LeRobot know a type `act` of its own."""

    def replace(*listed):
        by_kind = {kind: [plugin for plugin in listed if plugin.kind == kind] for kind in registry.GROUPS}
        monkeypatch.setattr(registry, "_found", by_kind)
        monkeypatch.setattr(plugins, "known_types", lambda kind: {"act": "lerobot.policies.act"})

    return replace


def plugin(name, state=LOADED, cause=None, distribution="zoo", kind="policy"):
    return Plugin(name, kind, distribution, "1.0", f"module_of_{distribution}", state, cause)


def test_all_is_well(found):
    found(plugin("mine"), plugin("off", DISABLED))
    assert plugins.check_plugins().state == "ok"
    assert plugins.check_names().state == "ok"


def test_broken_plugins_are_named_with_a_way_around(found):
    found(plugin("mine"), plugin("bad", BROKEN, "ImportError: no SDK", "other"))
    finding = plugins.check_plugins()
    assert finding.state == "problem"
    assert "policy bad: ImportError: no SDK" in finding.detail
    assert "other" in finding.do
    assert "LEROBOT_PLUGINS_DISABLE=bad" in finding.do


def test_a_name_of_lerobots_own_is_a_clash(found):
    found(plugin("act", BROKEN, "ValueError: Cannot register"))
    finding = plugins.check_names()
    assert finding.state == "problem"
    assert "policy act (module_of_zoo of zoo) is a type of LeRobot's own" in finding.detail


def test_a_name_claimed_twice_is_a_clash(found):
    found(plugin("mine"), plugin("mine", distribution="other"))
    finding = plugins.check_names()
    assert finding.state == "problem"
    assert "module_of_zoo of zoo and module_of_other of other" in finding.detail


@pytest.mark.parametrize(("kind", "name"), [("policy", "act"), ("env", "libero")])
def test_stock_types_are_known_by_their_module(kind, name):
    assert plugins.known_types(kind)[name].startswith("lerobot.")
