"""Apply the feature manifest and say what comes next. No git, no network.

The manifest is `_features` in cookiecutter.json: prompt → answer → paths that this answer removes.
"""

import json
import shutil
import sys
from pathlib import Path

ANSWERS = "{{ (cookiecutter | tojson | tojson)[1:-1] }}"


def apply_features(project: Path, answers: dict[str, object]) -> list[str]:
    """Remove what the answers leave out.

    Args:
        project: The generated project's folder.
        answers: cookiecutter's variables by name, `_features` among them.

    Returns:
        The removed paths, relative to the project.

    Raises:
        ValueError: The manifest names a path that is not a part of the project.
    """
    removed: list[str] = []
    features = answers.get("_features")
    for prompt, choices in features.items() if isinstance(features, dict) else ():
        for name in choices.get(answers[prompt], []):
            remove_path(project, name)
            removed.append(name)
    return removed


def remove_path(project: Path, name: str) -> None:
    """Remove one file or folder of the project, and nothing outside it."""
    path = project / name
    if project.resolve() not in path.resolve().parents or not path.exists():
        raise ValueError(
            f"the feature manifest removes {name!a}, which is not part of the project; "
            "correct _features in cookiecutter.json."
        )
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    given = json.loads(ANSWERS)
    try:
        apply_features(Path.cwd(), given)
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(f"\n{given['project_slug']} is generated. Next:  cd {given['project_slug']} && make run")
