"""The breaking changes between two releases, as the changelog of the newer one lists them."""

import re

_VERSION = re.compile(r"\d+(\.\d+)*")


def read_breaking(changelog: str, after: str, until: str) -> list[str]:
    """Return the changes under "Breaking" of every version after one, up to another.

    Args:
        changelog: Markdown with a heading `## VERSION` for each version and `### Breaking` in it.
        after: The version that a project has.
        until: The version that it gets.

    Returns:
        One line for each change, with its version in front.
    """
    lines: list[str] = []
    version = ""
    breaking = False
    for line in changelog.splitlines():
        if line.startswith("## "):
            version = line.removeprefix("## ").split()[0]
            breaking = False
        elif line.startswith("### "):
            breaking = line.removeprefix("### ").strip().lower() == "breaking"
        elif breaking and line.strip() and _is_between(version, after, until):
            if line.startswith("  ") and lines:  # The change goes on from the line above.
                lines[-1] += f" {line.strip()}"
            else:
                lines.append(f"{version}: {line.strip().removeprefix('- ')}")
    return lines


def is_older(version: str, than: str) -> bool:
    """Return whether a version comes before another one."""
    return _order(version) < _order(than)


def _is_between(version: str, after: str, until: str) -> bool:
    return _order(after) < _order(version) <= _order(until)


def _order(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare them; a suffix such as rc1 does not count."""
    match = _VERSION.match(version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
