"""`adopt`: from a team's files to a contract, settings and a deployed model."""

from collections.abc import Callable
from difflib import unified_diff

from mlchassis.adoption.columns.roles import Ask
from mlchassis.adoption.files.journal import Changes, carry_out, check_committed, finish
from mlchassis.adoption.files.placement import check_placement
from mlchassis.adoption.files.remove_sample import (
    clear_outputs,
    is_sample_here,
    list_folders,
    remove_sample,
)
from mlchassis.adoption.formats.detect_source import QUERY
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.adoption.request import Request, name_table
from mlchassis.config.yaml_edit import set_pipeline
from mlchassis.contract.compatibility import find_breaking_changes, join_changes
from mlchassis.contract.model import Contract, load_contract, parse_contract
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.sources.location import SETTING
from mlchassis.workspace.outputs import keep_edited, refuse_foreign
from mlchassis.workspace.repository import ensure_repository


def adopt(paths: Workspace, request: Request, ask: Ask, say: Callable[[str], None]) -> Adoption:
    """Profiles the data and rewrites the project for it.

    Args:
        paths: The project.
        request: Options of the adoption.
        ask: Settles doubts; gives the safe answer where nobody can be asked.
        say: Shows one line to the user.

    Returns:
        What was written, with what a person should decide next.

    Raises:
        ProjectError: The data cannot be used, or the project has changes that are not committed.
    """
    if finish(paths):
        say("adopt: finished what an interrupted run had begun")
    check_placement(paths, request.place)
    check_committed(paths, force=request.force, source=request.place.data)
    refuse_foreign(paths, list_folders(paths))
    first = is_sample_here(paths.root)
    previous = None if first else load_contract(paths.contract)
    adoption = prepare(paths, request, previous, ask)
    say(f"Decided (flags in ARGS change it; .venv/bin/python -m {paths.package} adopt --help):")
    for line in adoption.decisions:
        say(line)
    if previous is not None and not _agree(paths, request, adoption, ask, say):
        raise ProjectError(
            "Nothing was changed: the new contract was not agreed to (--yes agrees)."
        )
    changes, said = _collect_changes(paths, request, adoption)
    # All is decided and valid: from here on the project changes.
    for line in filter(None, (ensure_repository(paths.root), said)):
        say(line)
    keep_edited(paths, list_folders(paths), say)
    carry_out(paths, changes)
    return adoption


def _collect_changes(paths: Workspace, request: Request, adoption: Adoption) -> tuple[Changes, str]:
    """Return the files to write and delete, and a line about the sample's files."""
    changes, said = clear_outputs(paths), ""
    if is_sample_here(paths.root):
        removed, said = remove_sample(paths, paths.features_file, name_table(request.place))
        changes |= removed
    pipeline = changes.get("dvc.yaml") or (paths.root / "dvc.yaml").read_text(encoding="utf-8")
    task = parse_contract(adoption.contract).task
    changes |= {
        "contract.yaml": adoption.contract,
        "params.yaml": adoption.params,
        "dvc.yaml": set_pipeline(pipeline, task, adoption.source),
    }
    if adoption.query is not None:
        changes[QUERY] = adoption.query
    changes[SETTING] = None if adoption.location is None else f"{adoption.location}\n"
    return changes, said


def _agree(
    paths: Paths, request: Request, adoption: Adoption, ask: Ask, say: Callable[[str], None]
) -> bool:
    old = paths.contract.read_text(encoding="utf-8")
    new, names = adoption.contract.splitlines(), ("contract.yaml", "its new draft")
    lines = list(unified_diff(old.splitlines(), new, *names, n=1, lineterm=""))
    if not lines:
        say("contract.yaml: the data says what it says already; no change")
        return True
    for line in lines:
        say(line)
    for line in _warn_of_breaking(parse_contract(old), parse_contract(adoption.contract)):
        say(line)
    return request.agreed or ask("Change contract.yaml so, and the settings that follow?", False)


def _warn_of_breaking(old: Contract, new: Contract) -> list[str]:
    """Say before anything is written that a release of this contract will be rejected."""
    breaking = find_breaking_changes(old, new)
    if not breaking or old.name != new.name:
        return []
    line = (
        f"Contract {new.version} breaks clients of {old.version}: {join_changes(breaking)}. The "
        "gate `contract` will reject its model if the champion has the old contract; --name gives "
        "the new contract and its model a name of their own."
    )
    return [line]
