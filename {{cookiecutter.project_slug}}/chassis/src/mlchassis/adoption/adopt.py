"""`adopt`: from a team's files to a contract, settings and a deployed model."""

from collections.abc import Callable
from difflib import unified_diff

from mlchassis.adoption.columns.plan import Ask
from mlchassis.adoption.files.journal import (
    Changes,
    apply_changes,
    check_committed,
    finish_interrupted,
)
from mlchassis.adoption.files.pipeline_file import set_pipeline
from mlchassis.adoption.files.placement import check_placement
from mlchassis.adoption.files.remove_sample import (
    clear_outputs,
    is_sample_here,
    list_folders,
    read_sample,
    remove_sample,
)
from mlchassis.adoption.formats.detect_source import QUERY
from mlchassis.adoption.options import AdoptionOptions, name_table
from mlchassis.adoption.prepare import Adoption, prepare
from mlchassis.contract.compatibility import find_breaking_changes, join_changes
from mlchassis.contract.model import Contract, load_contract, parse_contract
from mlchassis.errors import ProjectError
from mlchassis.paths import Paths
from mlchassis.project import Workspace
from mlchassis.sources.location import SETTING
from mlchassis.workspace.outputs import keep_edited, refuse_foreign
from mlchassis.workspace.repository import ensure_repository


def adopt(
    paths: Workspace, options: AdoptionOptions, ask: Ask, report: Callable[[str], None]
) -> Adoption:
    """Profile the data, and rewrite the project for it.

    Args:
        paths: The project.
        options: Options of the adoption.
        ask: Callback for the user's answer; the safe one where nobody can be asked.
        report: Callback that prints one line to the user.

    Returns:
        What was written, with what a person should decide next.

    Raises:
        ProjectError: The data cannot be used, or the project has changes that are not committed.
    """
    if finish_interrupted(paths):
        report("adopt: finished what an interrupted run had begun")
    check_placement(paths, options.location)
    check_committed(paths, force=options.force, source=options.location.data)
    refuse_foreign(paths, list_folders(paths))
    first = is_sample_here(paths.root)
    previous = None if first else load_contract(paths.contract)
    adoption = prepare(paths, options, previous, ask)
    report(f"Decided (flags in ARGS change it; .venv/bin/python -m {paths.package} adopt --help):")
    for line in adoption.decisions:
        report(line)
    if previous is not None and not _agree(paths, options, adoption, ask, report):
        raise ProjectError(
            "Nothing was changed, since the new contract was not accepted; add --yes to accept it."
        )
    changes, removal = _collect_changes(paths, options, adoption)
    # Everything is decided and valid: the project changes from here on.
    for line in filter(None, (ensure_repository(paths.root), removal)):
        report(line)
    keep_edited(paths, list_folders(paths), report)
    apply_changes(paths, changes)
    return adoption


def _collect_changes(
    paths: Workspace, options: AdoptionOptions, adoption: Adoption
) -> tuple[Changes, str]:
    """Return the files to write and delete, and a line about the sample's files."""
    changes = clear_outputs(paths)
    removed: tuple[str, ...] = ()
    line = ""
    if is_sample_here(paths.root):
        sample = read_sample(paths.root)
        edits, line = remove_sample(
            paths, sample, paths.features_file, name_table(options.location)
        )
        changes |= edits
        removed = sample.files
    pipeline = (paths.root / "dvc.yaml").read_text(encoding="utf-8")
    task = parse_contract(adoption.contract).task
    changes |= {
        "contract.yaml": adoption.contract,
        "params.yaml": adoption.params,
        "dvc.yaml": set_pipeline(pipeline, task, adoption.source, removed),
    }
    if adoption.query is not None:
        changes[QUERY] = adoption.query
    changes[SETTING] = None if adoption.local_path is None else f"{adoption.local_path}\n"
    return changes, line


def _agree(
    paths: Paths,
    options: AdoptionOptions,
    adoption: Adoption,
    ask: Ask,
    report: Callable[[str], None],
) -> bool:
    old = paths.contract.read_text(encoding="utf-8")
    new, names = adoption.contract.splitlines(), ("contract.yaml", "its new draft")
    lines = list(unified_diff(old.splitlines(), new, *names, n=1, lineterm=""))
    if not lines:
        report("contract.yaml: no change; it fits the data")
        return True
    for line in lines:
        report(line)
    for line in _warn_of_breaking(parse_contract(old), parse_contract(adoption.contract)):
        report(line)
    return options.agreed or ask(
        "Apply these changes to contract.yaml, and the settings that follow?", False
    )


def _warn_of_breaking(old: Contract, new: Contract) -> list[str]:
    """Warn before anything is written that the gate will reject a release of this contract."""
    breaking = find_breaking_changes(old, new)
    if not breaking or old.name != new.name:
        return []
    line = (
        f"Contract {new.version} breaks clients of {old.version}: {join_changes(breaking)}. The "
        "gate `contract` will reject its model if the champion has the old contract; --name gives "
        "the new contract and its model a name of their own."
    )
    return [line]
