"""Names from a store become files below one folder, or are refused."""

from pathlib import Path


class NameLeavesFolderError(ValueError):
    """A name that could lie outside the folder it is meant for; the text quotes it."""


def place_inside(folder: Path, name: str) -> Path:
    """Return the file of a name with slashes, below a folder.

    Raises:
        NameLeavesFolderError: A part of the name is empty, `.` or `..`, or holds a backslash or a
            control character; or a link in the folder leads out of it.
    """
    parts = name.split("/")
    odd = any(part in ("", ".", "..") or "\\" in part or not part.isprintable() for part in parts)
    target = folder.joinpath(*parts)
    if odd or not target.resolve().is_relative_to(folder.resolve()):
        raise NameLeavesFolderError(
            f"the name {name!a:.200} has an empty part, '.', '..', a backslash or a control "
            "character, and could leave the folder it is copied to; rename or remove it in the "
            "store"
        )
    return target
