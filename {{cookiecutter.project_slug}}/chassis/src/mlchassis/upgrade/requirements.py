"""The packages that a newer chassis needs, entered into the project's pyproject.toml."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlchassis.errors import ProjectError

Lists = Mapping[str, list[str]]
"""Requirements by group; those of `[project] dependencies` under that name."""

_BASE = "dependencies"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TOKEN = re.compile(r'"(?P<text>[^"\n]*)"|#[^\n]*|(?P<end>\])')
"""In a list of requirements: a text, a comment, or the end of the list."""


def read_chassis_lists(pyproject: Path) -> dict[str, list[str]]:
    """Return what a chassis needs, by group."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return {_BASE: project[_BASE], **project.get("optional-dependencies", {})}


def update_requirements(text: str, old: Lists, new: Lists) -> str:
    """Enter the requirements of a newer chassis into the text of a project's pyproject.toml.

    A requirement that changed is replaced, a new one is added; the team's own and those that the
    chassis no longer needs stay.

    Raises:
        ProjectError: A list is not there, or not written as a list of texts.
    """
    for group, requirements in new.items():
        for requirement in requirements:
            if requirement not in old.get(group, ()):
                text = _enter(text, group, requirement)
    _check(text, old, new)
    return text


def _enter(text: str, group: str, requirement: str) -> str:
    """Replace the requirement of the same package in a group, or add it at the end."""
    opening = re.search(rf"^{re.escape(group)} = \[", text, re.MULTILINE)
    if opening is None:
        raise _refuse(group, requirement)
    last = opening.end()
    for token in _TOKEN.finditer(text, opening.end()):
        if token["end"]:
            return _insert(text, opening.end(), last, token.start(), requirement)
        if token["text"] is not None:
            last = token.end()
            if _name(token["text"]) == _name(requirement):
                return f'{text[: token.start()]}"{requirement}"{text[last:]}'
    raise _refuse(group, requirement)


def _insert(text: str, start: int, last: int, end: int, requirement: str) -> str:
    """Insert a requirement behind the last one of a list, on a line of its own if they have one.

    Args:
        text: The file.
        start: Position at which the list begins.
        last: Position at which its last requirement ends; `start` in an empty list.
        end: Position at which the list ends.
        requirement: Text to insert.
    """
    after = text[last:].removeprefix(",")
    comma = "" if last == start else ","
    if "\n" in text[start:end]:
        return f'{text[:last]}{comma}\n    "{requirement}",{after}'
    space = " " if comma else ""
    return f'{text[:last]}{comma}{space}"{requirement}"{after}'


def _check(text: str, old: Lists, new: Lists) -> None:
    """Check that the text is TOML and lists every requirement that is new."""
    try:
        listed = _read_project_lists(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        listed = {}
    for group, requirements in new.items():
        for requirement in requirements:
            is_new = requirement not in old.get(group, ())
            if is_new and requirement not in listed.get(group, ()):
                raise _refuse(group, requirement)


def _read_project_lists(document: Mapping[str, Any]) -> dict[str, list[str]]:
    groups = document.get("dependency-groups", {})
    return {_BASE: document.get("project", {}).get(_BASE, []), **groups}


def _name(requirement: str) -> str:
    """Return the normalized name of the package that a requirement is about."""
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else requirement


def _refuse(group: str, requirement: str) -> ProjectError:
    return ProjectError(
        f'The new chassis needs "{requirement}", and pyproject.toml has no plain list `{group}` to '
        "enter it into; write it there by hand and run again."
    )
