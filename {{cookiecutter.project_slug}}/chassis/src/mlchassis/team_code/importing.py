"""Import of a team's objects by reference, with a sentence where that fails."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from mlchassis.errors import ProjectError
from mlchassis.team_code.errors import find_team_frames, name_line, spell_error
from mlchassis.team_code.signatures import shorten

_T = TypeVar("_T")


def load_object(reference: str, kind: type[_T]) -> _T:
    """Import an object of the project's own code.

    Args:
        reference: Import string "package.module:name".
        kind: The type that it must have.

    Raises:
        ProjectError: There is no such module or name, it is something else, or a file is not
            Python or ends the process.
    """
    module, _, name = reference.partition(":")
    loaded = getattr(_import(module, f"{name} = {kind.__name__}(…)"), name, None)
    if not isinstance(loaded, kind):
        raise ProjectError(
            f"{name} in {find_file(reference)} is {loaded!r:.100}; write there "
            f"`{name} = {kind.__name__}(…)`."
        )
    return loaded


def _import(module: str, content: str) -> ModuleType:
    """Import a module that holds a line; name the file that cannot be read."""
    try:
        return import_module(module)
    except SystemExit as error:
        raise ProjectError(_describe_exit(error, module)) from None
    except SyntaxError as error:
        file = shorten(Path(error.filename or module))
        raise ProjectError(
            f"{file}, line {error.lineno}, is not valid Python: {error.msg}; correct it there."
        ) from None
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        file = f"{module.replace('.', '/')}.py"
        raise ProjectError(
            f"There is no module {module}: restore its file, {file}, from git, or write there "
            f"`{content}`."
        ) from None


def _describe_exit(error: SystemExit, module: str) -> str:
    """Return a sentence about a module that ends the process; without one it ends silently."""
    frames = find_team_frames(error)
    place = f"{name_line(frames[-1])}: `{frames[-1].line}`" if frames else f"Importing {module}"
    return (
        f"{place} ends the process with {spell_error(error)} while the project is imported; remove "
        "it there, or raise an error that names what is wrong."
    )


def find_file(reference: str) -> str:
    """Return the file that a reference "package.module:name" leads to."""
    module = reference.partition(":")[0]
    return shorten(Path(str(import_module(module).__file__)))
