"""Code blocks of the documentation say what they are, and the commands in them are understood."""

import re
from pathlib import Path

import pytest
from pages import LANGUAGES, PAGES, ROOT, blocks_of
from recipes import calls_of, require_known

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [block for block in BLOCKS if block.language == "bash"]
# Words of a page that stand for the reader's own.
POLICY_TYPES = {"README.md": "paligemma_flow", "pi05_comet.md": "pi05_comet", "checkpoints.md": "pi05_comet"}
POLICY_TYPES |= {"pi05_comet_vlm2.md": "pi05_comet_vlm2"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_names_its_language(block):
    assert block.language in LANGUAGES, f"{block}: ```{block.language}"
    assert block.text.strip(), f"{block} is empty"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.reason], ids=str)
def test_the_tests_that_a_reason_names_exist(block):
    for named in re.findall(r"tests/[\w/.]+", block.reason):
        assert (ROOT / named.rstrip(".")).exists(), f"{block}: {named}"


@pytest.mark.parametrize(
    "page", sorted({block.page for block in SHELL if "lerobot-" in block.text}), ids=lambda page: page.name
)
def test_commands_are_understood(page, tmp_path):
    """All of a page's commands in order, as its variables live through it; nothing is run."""
    script = tmp_path / "page.sh"
    texts = [block.text for block in SHELL if block.page == page]
    script.write_text("\n".join(["set -u", "cd() { :; }", *texts, "wait"]))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    calls = calls_of(script, tmp_path)
    known = [require_known(call, POLICY_TYPES.get(page.name, "waypoint_vla")) for call in calls if ours(call)]
    commands = sum(
        bool(re.match(r"(?:\w+=\S+ )*lerobot-", line)) for text in texts for line in text.splitlines()
    )
    assert len(known) >= commands


def ours(call: list[str]) -> bool:
    return call[0].startswith("lerobot-") or call[0] in ("accelerate", "torchrun")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_each_page_is_in_the_contents():
    contents = (ROOT / "mkdocs.yml").read_text()
    pages = {
        str(page.relative_to(ROOT / "docs"))
        for page in PAGES
        if Path("docs") in page.relative_to(ROOT).parents
    }
    assert not [page for page in pages if f" {page}\n" not in contents]
