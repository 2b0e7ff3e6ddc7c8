"""The registry: every entry point is listed with its state, and a broken one hides no other."""

import logging

import pytest
from fake_distributions import install

from lerobot_plugins import registry

POLICIES, ENVS = "fake.policies", "fake.envs"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the import path, and a registry that sees only the fake groups."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_found", {})
    monkeypatch.setattr(registry, "GROUPS", {"policy": POLICIES, "env": ENVS})
    monkeypatch.setattr(registry, "HOST_GROUPS", {"policy": POLICIES, "env": ENVS})
    monkeypatch.delenv(registry.DISABLE_VARIABLE, raising=False)
    return tmp_path


def states():
    return {plugin.name: plugin.state for plugin in registry.list_plugins()}


def test_a_plugin_is_listed_with_the_distribution_it_comes_from(site):
    install(site, "foreign_dist", "2.5", {POLICIES: {"good": "registry_good"}}, {"registry_good": "X = 1"})
    (plugin,) = registry.find_plugins("policy")
    assert (plugin.name, plugin.kind, plugin.module) == ("good", "policy", "registry_good")
    assert (plugin.distribution, plugin.version) == ("foreign_dist", "2.5")
    assert plugin.state == registry.NOT_LOADED
    assert registry.load(plugin).loaded.X == 1
    assert (plugin.state, plugin.cause) == (registry.LOADED, None)


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import a_package_that_is_not_there", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line"),
    ],
)
def test_a_broken_plugin_is_named_with_its_cause_and_hides_no_other(site, caplog, source, cause, request):
    bad = f"registry_bad_{request.node.callspec.indices['source']}"
    install(site, "bad_dist", "0.1", {POLICIES: {"bad": bad}}, {bad: source})
    install(site, "good_dist", "1.0", {POLICIES: {"worse": "registry_worse"}}, {"registry_worse": ""})
    with caplog.at_level(logging.ERROR):
        assert states() == {"bad": registry.BROKEN, "worse": registry.LOADED}
    broken = registry.find_plugins("policy")[0]
    assert broken.cause.startswith(cause)
    assert "\n" not in broken.cause
    (line,) = caplog.messages
    assert "'bad' of bad_dist 0.1 is broken" in line


def test_an_entry_point_without_its_module_is_broken(site):
    install(site, "hollow_dist", entry_points={ENVS: {"hollow": "registry_never_written"}})
    assert states() == {"hollow": registry.BROKEN}


def test_a_disabled_plugin_is_not_imported(site, monkeypatch):
    source = "raise AssertionError('must not be imported')"
    install(site, "dist", "1.0", {POLICIES: {"off": "registry_off"}}, {"registry_off": source})
    monkeypatch.setenv(registry.DISABLE_VARIABLE, "another,off")
    (plugin,) = registry.load_kind("policy")
    assert plugin.state == registry.DISABLED
    assert registry.DISABLE_VARIABLE in plugin.cause


def test_metadata_that_is_found_twice_is_listed_once(site):
    for place in ("one", "two"):
        install(site / place, "dist", "1.0", {POLICIES: {"same": "registry_same"}})
    (site / "registry_same.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        for place in ("one", "two"):
            patch.syspath_prepend(str(site / place))
        assert states() == {"same": registry.LOADED}


def test_one_name_from_two_distributions_is_listed_twice(site):
    for dist in ("first", "second"):
        install(site, dist, "1.0", {POLICIES: {"claimed": f"registry_{dist}"}}, {f"registry_{dist}": ""})
    found = registry.list_plugins()
    assert [(plugin.name, plugin.distribution) for plugin in found] == [
        ("claimed", "first"),
        ("claimed", "second"),
    ]


def test_a_plugin_is_imported_once(site):
    source = "import pathlib\npath = pathlib.Path(__file__).with_suffix('.count')\n"
    source += "path.write_text(path.read_text() + 'x' if path.exists() else 'x')\nraise ValueError('no')"
    install(site, "dist", "1.0", {ENVS: {"once": "registry_once"}}, {"registry_once": source})
    for _ in range(3):
        registry.load_host_plugins()
    assert (site / "registry_once.count").read_text() == "x"
