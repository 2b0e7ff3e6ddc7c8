"""The site: its reference pages are what the code says, and mkdocs finds no dead link or anchor."""

import importlib.util
import sys

import pytest
from pages import ROOT


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_current(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["write_reference.py", "--check"])
    assert script("write_reference").main() == 0, "run scripts/write_reference.py"


def test_arguments_are_read_from_docstrings():
    class Base:
        """A base.

        Args:
            first: One line.
            second (int): Two
                lines.
        """

    class Derived(Base):
        """Says it differently.

        Args:
            first: Another.

        Raises:
            ValueError: Never.
        """

    texts = script("write_reference").argument_texts(Derived)
    assert texts == {"first": "Another.", "second": "Two lines."}


def test_the_site_builds_without_a_warning(tmp_path, monkeypatch):
    pytest.importorskip("mkdocs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    front = (tmp_path / "index.html").read_text()
    assert "lerobot-plugins" in front
    assert 'href="source/CONTRIBUTING' not in front  # only what is linked is copied
    assert (tmp_path / "waypoint_vla" / "index.html").exists()
    assert (tmp_path / "source" / "examples" / "waypoint_vla" / "from_scratch.sh").exists()
