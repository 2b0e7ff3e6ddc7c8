"""Writes docs/commands.md and docs/options.md from the code; a test holds both against it.

.venv/bin/python scripts/write_reference.py
"""

import argparse
import dataclasses
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.envs import EnvConfig
from lerobot.robots import RobotConfig
from lerobot.teleoperators import TeleoperatorConfig

from lerobot_plugins import registry
from lerobot_plugins.cli.main import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"
OURS = "lerobot_policy_zoo"
WRITTEN_BY = "<!-- Written by scripts/write_reference.py from the code: edit the code. -->"
# kind of plugin -> what its types register with, and the option that LeRobot's commands give them.
REGISTERED: dict[str, tuple[Any, str]] = {
    "policy": (PreTrainedConfig, "policy"),
    "env": (EnvConfig, "env"),
    "robot": (RobotConfig, "robot"),
    "teleoperator": (TeleoperatorConfig, "teleop"),
}
ARGUMENT = re.compile(r"^    (\w+)(?: \([^)]*\))?: (.*)$")


def argument_texts(documented: type) -> dict[str, str]:
    """Field -> text, from the `Args:` of a class and its bases of ours; the nearest counts."""
    texts: dict[str, str] = {}
    for class_ in reversed(documented.__mro__):
        if class_.__module__.split(".")[0] == "lerobot":
            continue
        docstring = inspect.cleandoc(class_.__dict__.get("__doc__") or "")
        _, found, section = docstring.partition("\nArgs:\n")
        name = None
        for line in section.splitlines() if found else ():
            if line and not line.startswith(" "):
                break
            if start := ARGUMENT.match(line):
                name = start[1]
                texts[name] = start[2]
            elif name and line.strip():
                texts[name] += " " + line.strip()
    return texts


def default_of(field: dataclasses.Field[Any]) -> str:
    """A field's default as it would be typed."""
    if field.default is not dataclasses.MISSING:
        value: Any = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return "required"
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    text = str(getattr(value, "value", value))
    return f"`{text}`" if text and len(text) <= 60 else "none" if not text else "see the code"


def type_of(field: dataclasses.Field[Any]) -> str:
    """A field's type, short."""
    kind = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
    return re.sub(r"[\w.]+\.(\w+)", r"\1", kind).replace("|", "\\|")


def table(config: type, known: dict[str, str], option: str) -> Iterator[str]:
    """The rows of the options that `config` documents itself and `known` does not say with the same words."""
    yield "| option | type | default | |"
    yield "|---|---|---|---|"
    texts = argument_texts(config)
    for field in dataclasses.fields(config):
        text = texts.get(field.name)
        if text is not None and known.get(field.name) != text:
            text = text.replace("|", "\\|")
            yield f"| `--{option}.{field.name}` | {type_of(field)} | {default_of(field)} | {text} |"


def our_types(kind: str) -> dict[str, type]:
    """Type name -> configuration class, of this distribution."""
    packages = {p.module for p in registry.load_kind(kind) if p.distribution == OURS}
    base, _ = REGISTERED[kind]
    return {
        name: config
        for name, config in sorted(base.get_known_choices().items())
        if config.__module__.split(".")[0] in packages
    }


def options_page() -> str:
    """docs/options.md."""
    lines = [
        WRITTEN_BY,
        "",
        "# Options of the plugins",
        "",
        "Beside LeRobot's own. Each type lists what it adds to its kind's options, or says differently.",
    ]
    for kind, (_, option) in REGISTERED.items():
        types = our_types(kind)
        shared = _shared_base(list(types.values()))
        known: dict[str, str] = {}
        if shared is not None:
            known = argument_texts(shared)
            lines += ["", f"## Every {kind}", "", *table(shared, {}, option)]
        for name, config in types.items():
            rows = list(table(config, known, option))
            summary = inspect.cleandoc(config.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            lines += ["", f"## `--{option}.type={name}`", "", summary, ""]
            lines += rows if len(rows) > 2 else ["No options of its own."]
    return "\n".join(lines) + "\n"


def _shared_base(configs: list[type]) -> type | None:
    """The nearest class of the core above all of them."""
    if len(configs) < 2:
        return None
    common = [c for c in configs[0].__mro__ if all(issubclass(other, c) for other in configs)]
    return next((c for c in common if c.__module__.startswith("lerobot_plugins.")), None)


def commands_page() -> str:
    """docs/commands.md."""
    lines = [
        WRITTEN_BY,
        "",
        "# The command `lerobot-plugins`",
        "",
        "Exit status: 0 good, 1 findings, 2 wrong use or wrong input, 130 after Ctrl-C. Options in LeRobot's",
        "own spelling, `--policy.type=...`, are taken where the text says so: [options](options.md).",
    ]
    for command, (module, help_line) in COMMANDS.items():
        whole = argparse.ArgumentParser(prog=f"lerobot-plugins {command}", description=help_line)
        importlib.import_module(module).add_arguments(whole)
        for words, parser in _parsers((command,), whole):
            lines += ["", f"{'#' * (1 + len(words))} `{' '.join(words)}`", "", "```text"]
            lines += [parser.format_help().rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _parsers(
    words: tuple[str, ...], parser: argparse.ArgumentParser
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _parsers((*words, name), below)


def main() -> int:
    """Write the pages, or with `--check` say whether they are what the code says."""
    os.environ["COLUMNS"] = "100"
    pages = {"commands.md": commands_page(), "options.md": options_page()}
    stale = [name for name, text in pages.items() if _written(name) != text]
    if "--check" in sys.argv[1:]:
        print("\n".join(f"docs/{name} is stale: run scripts/write_reference.py" for name in stale))
        return int(bool(stale))
    for name in stale:
        (DOCS / name).write_text(pages[name])
    return 0


def _written(name: str) -> str:
    return (DOCS / name).read_text() if (DOCS / name).exists() else ""


if __name__ == "__main__":
    sys.exit(main())
