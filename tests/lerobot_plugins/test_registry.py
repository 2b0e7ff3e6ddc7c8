"""Entry points become plugins; a broken one costs a line and hides no other."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lerobot_plugins import registry
from lerobot_plugins.registry import BROKEN, DISABLED, LOADED, NOT_LOADED, Plugin


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`installed(distribution, group, {name: source})` makes a distribution with one module per name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_found", {})

    def install(distribution: str, group: str, modules: dict[str, str]) -> None:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        points = [f"{name} = zoo_test_{name}" for name in modules]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *points]))
        for name, source in modules.items():
            (tmp_path / f"zoo_test_{name}.py").write_text(source)

    yield install
    for name in [name for name in sys.modules if name.startswith("zoo_test_")]:
        del sys.modules[name]


def named(plugins: list[Plugin], name: str) -> Plugin:
    return next(plugin for plugin in plugins if plugin.name == name)


def test_our_own_plugins_are_found_with_their_distribution():
    plugin = named(registry.load_kind("policy"), "paligemma_flow")
    assert (plugin.distribution, plugin.kind, plugin.state) == ("lerobot_policy_zoo", "policy", LOADED)
    assert plugin.module == "lerobot_policy_paligemma_flow"
    assert plugin.loaded is sys.modules[plugin.module]


def test_a_foreign_distribution_appears_whatever_its_name(installed):
    installed("some-labs-robots", "lerobot_plugins.robots", {"arm": "READY = True"})
    plugin = named(registry.load_kind("robot"), "arm")
    assert (plugin.distribution, plugin.version, plugin.state) == ("some-labs-robots", "1.2", LOADED)
    assert plugin.loaded.READY


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
    ],
    ids=["missing import", "raises", "exits", "does not parse"],
)
def test_a_broken_plugin_costs_one_line_and_hides_no_other(installed, caplog, source, cause):
    installed("mixed", "lerobot_plugins.robots", {"aaa": source, "zzz": ""})
    plugins = registry.load_kind("robot")
    broken = named(plugins, "aaa")
    assert broken.state == BROKEN
    assert broken.cause.startswith(cause)
    assert named(plugins, "zzz").state == LOADED
    (line,) = [record.getMessage() for record in caplog.records]
    assert all(word in line for word in ("aaa", "mixed 1.2", cause, "lerobot-plugins doctor"))
    assert "\n" not in line


def test_ctrl_c_is_not_swallowed(installed):
    installed("slow", "lerobot_plugins.robots", {"slow": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        registry.load_kind("robot")


def test_a_plugin_is_loaded_once(installed):
    installed("once", "lerobot_plugins.robots", {"once": "import builtins; builtins.zoo_loads += 1"})
    import builtins

    builtins.zoo_loads = 0
    try:
        registry.load_kind("robot")
        registry.load_kind("robot")
        assert builtins.zoo_loads == 1
    finally:
        del builtins.zoo_loads


def test_plugins_can_be_switched_off(installed, monkeypatch):
    installed("two", "lerobot_plugins.cameras", {"on": "", "off": "raise RuntimeError"})
    monkeypatch.setenv(registry.DISABLE_VARIABLE, "other,off")
    plugins = registry.load_kind("camera")
    assert (named(plugins, "off").state, named(plugins, "on").state) == (DISABLED, LOADED)


def test_finding_imports_nothing(installed):
    installed("lazy", "lerobot_plugins.datasets", {"lazy": "raise RuntimeError"})
    assert named(registry.find_plugins("dataset"), "lazy").state == NOT_LOADED
    assert "zoo_test_lazy" not in sys.modules


def test_the_host_gets_only_what_registers_itself(installed):
    installed("lazy", "lerobot_plugins.datasets", {"lazy": ""})
    assert {plugin.kind for plugin in registry.load_host_plugins()} <= set(registry.HOST_GROUPS)
    assert "lazy" in {plugin.name for plugin in registry.list_plugins()}


def test_a_distribution_listed_twice_is_one_plugin(monkeypatch):
    """An editable install and its build leftovers."""
    point = EntryPoint("arm", "zoo_test_arm", "lerobot_plugins.robots")
    monkeypatch.setattr(registry, "_found", {})
    monkeypatch.setattr(registry, "entry_points", lambda group: [point, point])
    assert [plugin.name for plugin in registry.find_plugins("robot")] == ["arm"]


def test_one_name_claimed_by_two_modules_is_two_plugins(monkeypatch):
    """Neither may hide the other: `lerobot-plugins doctor` names the clash."""
    points = [EntryPoint("arm", f"zoo_test_{lab}", "lerobot_plugins.robots") for lab in ("a", "b")]
    monkeypatch.setattr(registry, "_found", {})
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert [plugin.module for plugin in registry.find_plugins("robot")] == ["zoo_test_a", "zoo_test_b"]
