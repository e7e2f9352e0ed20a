"""Edits of YAML files by the positions of their nodes: all other text and its comments stay."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from mlchassis.config.source_params import OwnParams
from mlchassis.errors import ProjectError
from mlchassis.printable import printable

_COMMENT_COLUMN = 31

NodePath = Sequence[str]
"""Keys from the top of a document to a node."""


def set_values(text: str, settings: Mapping[str, tuple[Any, str | None]]) -> str:
    """Set values by their dotted names, and the comments beside them.

    A comment of None keeps the one that is there.

    Raises:
        ProjectError: A name is not there.
    """
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = [(_require_parameter(document, name), *new) for name, new in settings.items()]
    # From the end of the text on, so that the lines of the others keep their numbers.
    for (key, old), value, comment in sorted(pairs, key=_find_first_line, reverse=True):
        indent = " " * key.start_mark.column
        entry = f"{indent}{key.value}: {dump_flow(value)}"
        note = _read_comment(text, old) if comment is None else printable(comment)
        line = f"{entry.ljust(_COMMENT_COLUMN - 1)} # {note}\n" if note else f"{entry}\n"
        text = _replace_lines(text, key.start_mark.line, _find_last_line(old), [line])
    return text


def _require_parameter(document: yaml.Node | None, name: str) -> tuple[yaml.Node, Any]:
    pair = _find_in(document, name.split("."))
    if pair is None:
        raise ProjectError(
            f"params.yaml lacks '{name}'; write the key into its section, or restore the file "
            "from git."
        )
    return pair


def _find_first_line(setting: tuple[tuple[yaml.Node, Any], Any, str | None]) -> int:
    (key, _), *_ = setting
    line: int = key.start_mark.line
    return line


def set_source(text: str, source: OwnParams) -> str:
    """Replace the section `source`, unless it says the same already.

    Raises:
        ProjectError: There is no such section.
    """
    given = source.model_dump(mode="json", exclude_defaults=True)
    pair = _find_pair(text, ["source"])
    if pair is None:
        raise ProjectError("params.yaml has no section 'source'; restore the file from git.")
    if yaml.safe_load(text)["source"] == given:
        return text
    block = yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=110)
    lines = ["source:\n", "  # Format of the files, as `make adopt` detected it.\n"]
    lines += [f"  {line}\n" for line in block.splitlines()]
    return _replace_lines(text, pair[0].start_mark.line, _find_last_line(pair[1]), lines)


def remove_key(text: str, path: NodePath) -> str:
    """Remove a key of a mapping with its value; the same text if it is not there."""
    pair = _find_pair(text, path)
    if pair is None:
        return text
    return _replace_lines(text, pair[0].start_mark.line, _find_last_line(pair[1]), [])


def insert_line_before(text: str, path: NodePath, line: str) -> str:
    """Insert a line with the indentation of a key before that key.

    Raises:
        ProjectError: The key is not there.
    """
    key, _ = _require_pair(text, path)
    line = f"{' ' * key.start_mark.column}{line}\n"
    return _replace_lines(text, key.start_mark.line, key.start_mark.line - 1, [line])


def remove_items(text: str, path: NodePath, is_removed: Callable[[Any], bool]) -> str:
    """Remove items of a sequence; comments on lines of their own stay.

    Args:
        text: A YAML document.
        path: Place of the sequence; without one, nothing is removed.
        is_removed: True for the value of an item that goes.
    """
    pair = _find_pair(text, path)
    if pair is None or not isinstance(pair[1], yaml.SequenceNode):
        return text
    key, sequence = pair
    values = _read_value(text, path)
    kept = [value for value in values if not is_removed(value)]
    if len(kept) == len(values):
        return text
    if sequence.flow_style:
        return _replace_node(text, sequence, dump_flow(kept))
    for node, value in reversed(list(zip(sequence.value, values, strict=True))):
        if is_removed(value):
            text = _replace_lines(text, node.start_mark.line, _find_last_line(node), [])
    if kept:
        return text
    colon = text.index(":", key.end_mark.index) + 1
    return f"{text[:colon]} []{text[colon:]}"


def insert_items(
    text: str, path: NodePath, items: Sequence[str], before: Callable[[Any], bool]
) -> str:
    """Insert items into a sequence.

    Args:
        text: A YAML document.
        path: Place of the sequence.
        items: The items as YAML on one line each.
        before: True for the value of the item that follows them; without one, they come last.

    Raises:
        ProjectError: There is no such sequence.
    """
    _, sequence = _require_pair(text, path)
    values = _read_value(text, path) or []
    place = next((i for i, value in enumerate(values) if before(value)), len(values))
    if not values or sequence.flow_style:
        new = [*values[:place], *map(yaml.safe_load, items), *values[place:]]
        return _replace_node(text, sequence, dump_flow(new))
    dash = " " * sequence.start_mark.column + "- "
    last = _find_last_line(sequence.value[place - 1]) + 1
    line = sequence.value[place].start_mark.line if place < len(values) else last
    return _replace_lines(text, line, line - 1, [f"{dash}{item}\n" for item in items])


def dump_flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.safe_dump(value, allow_unicode=True, width=100_000, default_flow_style=True)
    return text.splitlines()[0]


def _find_pair(text: str, path: NodePath) -> tuple[yaml.Node, Any] | None:
    """Find the key and the value at a place; None without it."""
    return _find_in(yaml.compose(text, Loader=yaml.SafeLoader), path)


def _find_in(node: Any, path: NodePath) -> tuple[yaml.Node, Any] | None:
    pair = None
    for name in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        pair = next((pair for pair in pairs if pair[0].value == name), None)
        if pair is None:
            return None
        node = pair[1]
    return pair


def _require_pair(text: str, path: NodePath) -> tuple[yaml.Node, Any]:
    pair = _find_pair(text, path)
    if pair is None:
        raise ProjectError(f"dvc.yaml lacks '{'.'.join(path)}'; restore the file from git.")
    return pair


def _read_value(text: str, path: NodePath) -> Any:
    value = yaml.safe_load(text)
    for name in path:
        value = value[name]
    return value


def _find_last_line(node: yaml.Node) -> int:
    """Number of a node's last line; a block ends where its last value does."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _find_last_line(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    ends_before = mark.column == 0 and mark.line > node.start_mark.line
    line: int = mark.line - 1 if ends_before else mark.line
    return line


def _read_comment(text: str, node: yaml.Node) -> str:
    """Return the comment behind a value; nothing where there is none."""
    last = _find_last_line(node)
    if node.end_mark.line != last:
        return ""
    rest = text.splitlines()[last][node.end_mark.column :]
    return rest.strip().removeprefix("#").strip()


def _replace_lines(text: str, first: int, last: int, new: Sequence[str]) -> str:
    """Replace the lines from the first to the last, both included."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join([*lines[:first], *new, *lines[last + 1 :]])


def _replace_node(text: str, node: yaml.Node, new: str) -> str:
    start = node.start_mark.index
    space = "" if text[start - 1].isspace() else " "
    return f"{text[:start]}{space}{new}{text[node.end_mark.index :]}"
