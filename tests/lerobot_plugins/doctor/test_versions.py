"""Ranges come from the distributions' metadata, through the extras of the host."""

from importlib.metadata import PackageNotFoundError

import pytest

from lerobot_plugins.doctor import versions

OURS = ["lerobot[training]>=0.6.1,<0.7", "NumPy>=2.1", 'pytest>=8; extra == "dev"']
HOST = [
    "numpy<2.3,>=2.0",
    'lerobot[dataset]; extra == "training"',
    'lerobot[av-dep]; extra == "dataset"',
    'av<16,>=15; extra == "av-dep"',
    'torchcodec<0.12; sys_platform == "no-such-system" and extra == "dataset"',
    'torchcodec<0.11; sys_platform != "no-such-system" and extra == "dataset"',
    'av<14; extra == "an-extra-nobody-asked-for"',
]


@pytest.fixture(autouse=True)
def metadata(monkeypatch):
    monkeypatch.setattr(versions, "requires", {"lerobot_policy_zoo": OURS, "lerobot": HOST}.get)


def as_set(specifiers):
    return {str(specifier) for specifier in specifiers}


def test_the_range_is_the_intersection_of_both_distributions():
    assert as_set(versions.supported_range("numpy")) == {">=2.1", "<2.3", ">=2.0"}
    assert as_set(versions.supported_range("lerobot")) == {">=0.6.1", "<0.7"}


def test_extras_are_followed_where_asked_for_and_markers_where_they_hold():
    assert as_set(versions.supported_range("av")) == {"<16", ">=15"}
    assert as_set(versions.supported_range("torchcodec")) == {"<0.11"}
    assert as_set(versions.supported_range("pytest")) == set()


@pytest.mark.parametrize(
    ("installed", "state"),
    [("15.1.0", "ok"), ("15.1.0+cu130", "ok"), ("16.0.0", "problem"), ("14.9", "problem")],
)
def test_a_version_outside_the_range_is_a_problem_with_the_command(monkeypatch, installed, state):
    monkeypatch.setattr(versions, "version", lambda name: installed)
    finding = versions.check_package("av")
    assert (finding.name, finding.state) == ("av", state)
    assert installed in finding.detail
    assert (finding.do is None) == (state == "ok")
    if finding.do:
        assert finding.do == "pip install 'av<16,>=15'"


def test_a_package_that_is_missing_is_a_problem(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", absent)
    finding = versions.check_package("torchcodec")
    assert finding.state == "problem"
    assert "not installed" in finding.detail


def test_an_old_interpreter_is_a_problem(monkeypatch):
    monkeypatch.setattr(versions.platform, "python_version", lambda: "3.11.9")
    finding = versions.check_python()
    assert finding.state == "problem"
    assert ">=3.12" in finding.detail
