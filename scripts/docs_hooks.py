"""What mkdocs needs to know about this repository: the README is the first page, and files outside docs/ that
pages link to are part of the site."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#\s]+)(#[\w-]+)?\)")
SOURCES = "source"  # the folder of the site that holds them


def on_files(files: Files, config: Any) -> Files:
    """Add index.md, made of the README, and each file outside docs/ that a page links to."""
    readme = _moved((ROOT / "README.md").read_text(), "", "docs")
    files.append(File.generated(config, "index.md", content=readme))
    linked: set[str] = set()
    for file in list(files.documentation_pages()):
        folder = _folder(file.src_uri) if file.src_uri != "index.md" else ""
        text = (ROOT / "README.md").read_text() if not folder else file.content_string
        for target, _ in LINK.findall(text):
            path = posixpath.normpath(posixpath.join(folder, target))
            if not target.startswith("http") and not path.startswith("docs/") and (ROOT / path).exists():
                linked.add(path)
    for path in sorted(linked):
        if (ROOT / path).is_dir():
            files.append(File.generated(config, f"{SOURCES}/{path}/index.md", content=_listing(path, linked)))
        else:
            content = (ROOT / path).read_bytes()
            if path.endswith(".md"):
                content = LINK.sub(r"]", content.decode()).encode()
            files.append(File.generated(config, f"{SOURCES}/{path}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead the links of a page that leave docs/ to the copies."""
    if page.file.src_uri == "index.md" or page.file.src_uri.startswith(SOURCES):
        return markdown
    folder = _folder(page.file.src_uri)
    return _moved(markdown, folder, folder)


def _folder(src_uri: str) -> str:
    """Where a page lies in the repository."""
    return posixpath.dirname(f"docs/{src_uri}")


def _moved(markdown: str, written_in: str, shown_in: str) -> str:
    def lead(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        if target.startswith("http"):
            return match[0]
        path = posixpath.normpath(posixpath.join(written_in, target))
        if not (ROOT / path).exists() and not path.startswith("docs/"):
            return match[0]  # mkdocs says so
        if not path.startswith("docs/"):
            path = f"docs/{SOURCES}/{path}{'/index.md' if (ROOT / path).is_dir() else ''}"
        return f"]({posixpath.relpath(path, shown_in)}{anchor})"

    return LINK.sub(lead, markdown)


def _listing(path: str, linked: set[str]) -> str:
    names = sorted(file.name for file in (ROOT / path).iterdir() if not file.name.startswith((".", "__")))
    rows = [f"- [{name}]({name})" if f"{path}/{name}" in linked else f"- {name}" for name in names]
    return "\n".join([f"# {path}", "", *rows]) + "\n"
