"""Edit of `project.py`: the source that it passes goes, with the imports that only it needed."""

import ast
from collections.abc import Iterator


def remove_source(text: str) -> str:
    """Remove the argument `source` of `Project(…)`; all other code and comments stay.

    Args:
        text: Code of `project.py`.
    """
    keyword = _find_source(ast.parse(text))
    if keyword is None:
        return text
    names = {node.id for node in ast.walk(keyword.value) if isinstance(node, ast.Name)}
    text = _cut(text, keyword)
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return _remove_imports(text, names - used)


def _find_source(module: ast.Module) -> ast.keyword | None:
    calls = (node for node in ast.walk(module) if isinstance(node, ast.Call))
    keywords = (keyword for call in calls if _is_project(call.func) for keyword in call.keywords)
    return next((keyword for keyword in keywords if keyword.arg == "source"), None)


def _is_project(called: ast.expr) -> bool:
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
    return name == "Project"


def _cut(text: str, node: ast.keyword | ast.stmt) -> str:
    """Cut a node out of the code: whole lines where it has them to itself."""
    start, end = _find_span(text, node)
    after = text[end:].removeprefix(",")
    rest, _, following = after.partition("\n")
    line_start = text.rfind("\n", 0, start) + 1
    if not text[line_start:start].strip() and (not rest.strip() or rest.lstrip().startswith("#")):
        return text[:line_start] + following
    before = text[:start]
    if after.lstrip().startswith(")"):
        before = before.rstrip().removesuffix(",")
    return before + after.lstrip(" ")


def _find_span(text: str, node: ast.keyword | ast.stmt) -> tuple[int, int]:
    """Positions of a node's first character and of the one behind its last."""
    lines = text.splitlines(keepends=True)
    start = _find_position(lines, node.lineno, node.col_offset)
    return start, _find_position(lines, node.end_lineno or 0, node.end_col_offset or 0)


def _find_position(lines: list[str], number: int, column: int) -> int:
    """Position in the text; `ast` counts columns in bytes."""
    before = lines[number - 1].encode()[:column].decode()
    return sum(map(len, lines[: number - 1])) + len(before)


def _remove_imports(text: str, names: set[str]) -> str:
    for statement in reversed(list(_list_imports(ast.parse(text)))):
        kept = [one for one in statement.names if (one.asname or one.name) not in names]
        if not kept:
            text = _cut(text, statement)
        elif len(kept) < len(statement.names):
            statement.names = kept
            start, end = _find_span(text, statement)
            text = text[:start] + ast.unparse(statement) + text[end:]
    return text


def _list_imports(module: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for statement in module.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
