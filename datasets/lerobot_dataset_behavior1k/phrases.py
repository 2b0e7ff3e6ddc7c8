"""The text of an annotated skill, made of one of BEHAVIOR-1K's 34 verbs and its objects.

Phrases are those on which the published policies were trained, oddities included: an object that is not known
leaves its article behind ("move to the").
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lerobot_plugins.errors import ZooError, first_names

# {o} object, {s} source, {d} destination, {t} target.
_OBJECT_ONLY = (
    "attach", "chop", "hand over", "hang", "hold", "ignite", "insert", "press", "release", "sweep off",
    "tip over", "turn to", "push to",
)  # fmt: skip
SKILLS: dict[str, str] = {verb: f"{verb} the {{o}}" for verb in _OBJECT_ONLY} | {
    "close door": "close the {t}",
    "close drawer": "close the {t}",
    "close lid": "close the {t}",
    "open door": "open the {t}",
    "open drawer": "open the {t}",
    "open lid": "open the {t}",
    "move to": "move to the {t}",
    "pick up from": "pick up the {o} from the {s}",
    "place in": "place the {o} in the {d}",
    "place on": "place the {o} on the {d}",
    "place in next to": "place next to the {o}",
    "place on next to": "place next to the {o}",
    "place under": "place under the {o}",
    "pour": "pour the {o} onto the {d}",
    "pull tray": "pull out the {o} tray",
    "push tray": "push in the {o} tray",
    "spray": "spray the {d}",
    "sweep surface": "sweep the surface of the {o}",
    "turn off switch": "turn off the {o}",
    "turn on switch": "turn on the {o}",
    "wipe hard": "wipe the {o} firmly",
}
_NOT_PRIMITIVE = ("hold", "release", "sweep off", "push tray")
PRIMITIVES = {verb: template for verb, template in SKILLS.items() if verb not in _NOT_PRIMITIVE}
_HANDS = ("left", "right")


def object_name(identifier: object, names: Mapping[str, str]) -> str:
    """A name for an object's id: from `names`, else the id's words without trailing numbers.

    `coffee_table_koagbh_0` is "coffee table koagbh". Hands and lists have no name: "".
    """
    text = str(identifier).strip()
    if text in names:
        return names[text]
    if text in _HANDS or text.startswith("["):
        return ""
    parts = text.replace("-", "_").split("_")
    while parts and (parts[-1].isdigit() or not parts[-1]):
        parts.pop()
    return " ".join(part for part in parts if part).lower()


def skill_phrase(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The phrase of an entry of `skill_annotation`; "" if the entry names no skill.

    Raises:
        ZooError: The skill is none of the 34.
    """
    verbs = _texts(entry.get("skill_description"))
    if not verbs:
        return ""
    return _phrase(verbs[0], entry.get("object_id"), entry.get("manipulating_object_id"), names, SKILLS)


def primitive_phrase(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The phrase of an entry of `primitive_annotation`: that of its parts, joined by "then"; "" without any.

    Each part has its own objects if there are as many lists of objects as parts.

    Raises:
        ZooError: A part is none of the 30 primitives.
    """
    verbs, objects = _texts(entry.get("primitive_description")), entry.get("object_id")
    matched = isinstance(objects, list) and len(objects) == len(verbs) > 1
    phrases = [
        _phrase(
            verb,
            objects[number] if matched and objects else objects,
            entry.get("manipulating_object_id"),
            names,
            PRIMITIVES,
        )
        for number, verb in enumerate(verbs)
    ]
    return " then ".join(phrases)


def _phrase(
    verb: str, objects: Any, manipulated: Any, names: Mapping[str, str], templates: Mapping[str, str]
) -> str:
    if verb not in templates:
        raise ZooError(
            f"the annotation names the unknown skill '{verb}'",
            expected=first_names(templates, limit=len(templates)),
            do="convert with --prompts task --subtasks none",
        )
    template = templates[verb]
    named = [object_name(identifier, names) for identifier in _identifiers(objects)]
    first = named[0] if named else ""
    last = named[-1] if len(named) > 1 else ""
    manipulated_names = [object_name(identifier, names) for identifier in _identifiers(manipulated)]
    thing = first or next(filter(None, manipulated_names), "")
    place = last or thing
    if set(re.findall(r"{(\w)}", template)) == {"o"}:
        thing = place
    if verb in ("open door", "close door"):
        place = place or "door"
    return " ".join(template.format(o=thing, s=place, d=place, t=place).split())


def _texts(value: Any) -> list[str]:
    """The non-empty texts of a list or of one value."""
    listed: Sequence[Any] = value if isinstance(value, list) else [value]
    texts = [" ".join(text.split()).lower() for text in listed if isinstance(text, str)]
    return [text for text in texts if text]


def _identifiers(value: Any) -> list[Any]:
    """The ids of objects, out of a list, a list in a list, or one value; nulls are dropped."""
    listed = value if isinstance(value, list) else [value]
    if len(listed) == 1 and isinstance(listed[0], list):
        listed = listed[0]
    return [identifier for identifier in listed if identifier is not None]
