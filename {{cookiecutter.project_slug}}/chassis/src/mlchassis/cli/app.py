"""The command line: one group, one command per stage and per verb.

Nothing heavy is imported before the command that needs it runs.
"""

import gc
import inspect
import shlex
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperGroup

from mlchassis.cli.commands import (
    open_project,
    read_composition,
    read_project,
    use_composition,
    verbs,
)
from mlchassis.errors import ProjectError
from mlchassis.project import STAGE_NAME, Stage
from mlchassis.team_code.errors import describe_team_error
from mlchassis.telemetry import silence_telemetry
from mlchassis.terminal import echo, fail
from mlchassis.workspace.outputs import protect, read_outputs, recording

STAGES = {
    "ingest": "Store every available month in data/raw.",
    "validate": "Validate every row by the contract; quarantine invalid rows.",
    "split": "Split the labelled rows into train, valid and test.",
    "train": "Fit the baselines and the candidate.",
    "export": "Export the candidate as an ONNX bundle and check its parity.",
    "evaluate": "Evaluate the bundle on the test rows.",
}

STAGE_MODULES = {
    "ingest": "mlchassis.data.ingest",
    "validate": "mlchassis.data.validation",
    "split": "mlchassis.data.splitting",
    "train": "mlchassis.training.train",
    "export": "mlchassis.training.export",
    "evaluate": "mlchassis.evaluation.evaluate",
}


class _Group(TyperGroup):
    """Command group that prints an expected error as one sentence, without a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line on which `make` hands a verb's options over as one word."""
        try:
            words = split_options(args)
        except ProjectError as error:
            fail(str(error))
            raise typer.Exit(1) from None
        return super().parse_args(ctx, words)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, the project's own stages last."""
        return [*super().list_commands(ctx), *_read_own_stages(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a built-in command, or else the project's own stage of that name."""
        built_in = super().get_command(ctx, cmd_name)
        if built_in is not None or not STAGE_NAME.fullmatch(cmd_name):
            return built_in
        stage = _read_own_stages(ctx).get(cmd_name)
        return None if stage is None else make_stage_command(cmd_name, stage)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ProjectError as error:
            fail(str(error))
        except BrokenPipeError:
            raise  # Who reads what is printed has had enough; typer ends quietly.
        except OSError as error:
            # A full disk, a folder that is not ours: files are written whole or not at all.
            why = " ".join(str(error).split())
            fail(f"this machine refuses: {why}; see to it and run again, nothing is half-written.")
        except Exception as error:
            sentence = describe_team_error(error, Path.cwd())
            if sentence is None:
                raise
            fail(sentence)
        raise typer.Exit(1)


def _read_own_stages(ctx: Any) -> Mapping[str, Stage]:
    """Return the project's own stages; none where no project runs this command line."""
    if ctx.obj is None:
        return {}
    stages: Mapping[str, Stage] = ctx.obj.load_project().stages
    return stages


def split_options(words: Sequence[str]) -> list[str]:
    """Split `ARGS=...` behind a verb as a shell would, but without expanding anything in it.

    Raises:
        ProjectError: A quotation mark in it is not closed.
    """
    verb, rest = list(words[:1]), list(words[1:])
    if not rest or not rest[0].startswith("ARGS="):
        return [*verb, *rest]
    options = rest[0].removeprefix("ARGS=")
    try:
        return [*verb, *shlex.split(options), *rest[1:]]
    except ValueError:
        raise ProjectError(
            f"ARGS holds a quotation mark that is not closed: {options!a}; close it, or put a "
            "backslash before it."
        ) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    # A traceback that shows the values of variables would show rows and passwords.
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    help="Ingest, train, judge, register, deploy and serve. Run it in the project's folder.",
)


@app.callback()
def prepare(context: typer.Context) -> None:
    """Prepare the process before every command."""
    use_composition(context.obj)
    # Libraries make much that lives on when they are imported: a search for garbage at every 700
    # objects takes a tenth of the time and finds none.
    gc.set_threshold(50_000)
    silence_telemetry()


def _add_stage(name: str, purpose: str) -> None:
    """Add a stage of `dvc.yaml` as a command."""

    @app.command(
        name, help=f"{purpose}\n\nExample: .venv/bin/dvc repro {name}", rich_help_panel="Stages"
    )
    def stage() -> None:
        _run_stage(name, import_module(STAGE_MODULES[name]).run)


def _run_stage(name: str, stage: Stage) -> None:
    """Run a stage, keep edited outputs, record what it writes, and print its line."""
    paths, params = read_project()
    outputs = read_outputs(paths, name)
    protect(paths, outputs, echo)
    with recording(paths, outputs), Console(stderr=True).status(f"{name} …"):
        summary = stage(paths, params)
    if not isinstance(summary, str):
        raise ProjectError(
            f"The stage '{name}' returned {summary!r:.100}; return one line, a str, about what it "
            "did."
        )
    echo(f"{name}: {summary}")


def make_stage_command(name: str, stage: Stage) -> Any:
    """Make the command of a project's own stage; its docstring is the help."""
    single = typer.Typer(add_completion=False)
    purpose = inspect.getdoc(stage) or "A stage of this project."

    @single.command(
        name, help=f"{purpose}\n\nExample: .venv/bin/dvc repro {name}", rich_help_panel="Own stages"
    )
    def run_own() -> None:
        _run_stage(name, stage)

    return typer.main.get_command(single)


for _name, _purpose in STAGES.items():
    _add_stage(_name, _purpose)


@app.command(rich_help_panel="Everything")
def run() -> None:
    """Run the pipeline, then judge, register, promote and deploy what came out.

    Example: make run
    """
    from mlchassis.workflow.run import run_everything

    run_everything(open_project(), echo)


@app.command(rich_help_panel="Everything")
def repro() -> None:
    """Run the stages of the pipeline whose inputs changed; repair after a killed run.

    Example: make repro
    """
    from mlchassis.workflow.run import repro as run_stages

    run_stages(open_project(), echo)


@app.command(rich_help_panel="Everything")
def rows() -> None:
    """Find where a run would take its rows from; pull them if the DVC remote alone has them.

    Example: make rows
    """
    from mlchassis.workflow.availability import find_rows

    found = find_rows(open_project(), ask=True)
    echo(f"rows: {found.place}{f', since {found.reason}' if found.reason else ''}")


@app.command(rich_help_panel="Everything")
def pull() -> None:
    """Pull the data and models of dvc.lock from the DVC remote.

    Example: make pull
    """
    from mlchassis.workflow.run import pull as bring

    bring(open_project())


@app.command(rich_help_panel="Everything")
def adopt(
    data: Annotated[
        str, typer.Argument(help="A CSV or Parquet file or folder, s3://BUCKET/KEY, or a database.")
    ],
    target: Annotated[str, typer.Argument(help="The column to predict.")],
    task: Annotated[
        Literal["binary", "multiclass", "regression"] | None,
        typer.Option(help="Task; inferred if left out."),
    ] = None,
    positive: Annotated[str | None, typer.Option(help="Positive class of a binary target.")] = None,
    key: Annotated[str | None, typer.Option(help="Column that identifies a row, or none.")] = None,
    event_time: Annotated[
        str | None, typer.Option(help="Column with the time of the event, or none.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column whose rows stay together in one split.")
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Column to use as a feature despite a warning.")
    ] = None,
    leakage: Annotated[
        list[str] | None, typer.Option(help="Column that is known only after the event.")
    ] = None,
    pii: Annotated[list[str] | None, typer.Option(help="Column with personal data.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the contract and the model.")] = None,
    query: Annotated[
        str | None, typer.Option(help="File with the SQL query of a database.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Table of a database, instead of a query.")
    ] = None,
    incremental: Annotated[
        str | None, typer.Option(help="Time column of a database; only new months are read.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Endpoint URL of S3-compatible storage.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Character encoding of CSV files, such as cp1251.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of CSV files; tab is accepted as a word.")
    ] = None,
    decimal: Annotated[
        list[str] | None,
        typer.Option(metavar="[COLUMN=]MARK", help="Decimal separator: 'price=,' or ','."),
    ] = None,
    thousands: Annotated[
        list[str] | None,
        typer.Option(metavar="[COLUMN=]MARK", help="Thousands separator: 'menge=.' or '.'."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            "--category",
            metavar="COLUMN",
            help="Column whose numbers are codes or categories.",
        ),
    ] = None,
    number: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Column whose numbers are quantities."),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(metavar="[COLUMN=]WORD", help="Missing-value marker: 'country=NA' or 'n/a'."),
    ] = None,
    date_format: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[COLUMN=]FORMAT",
            help="Format of times: 'born=%d.%m.%y', ISO8601, epoch_s, epoch_ms, excel.",
        ),
    ] = None,
    newest_year: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[COLUMN=]YEAR", help="Latest year that two digits stand for: 'born=2024'."
        ),
    ] = None,
    month_first: Annotated[
        bool, typer.Option("--month-first", help="Read 01/02/2020 as the second of January.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept a changed contract without a prompt.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite uncommitted changes.")] = False,
) -> None:
    """Adapt the project to your table: contract, settings and model.

    Example: make adopt DATA=/data/orders.csv TARGET=returned ARGS="--event-time ordered"

    Files: ARGS="--encoding cp1251 --delimiter ';' --decimal , --thousands 'weight=.'"

    Columns: ARGS="--category zip --number 'house no' --missing 'country=NA' --date-format
    'born=%d.%m.%y' --newest-year born=2024"
    """
    from mlchassis.adoption.columns.roles import Wishes
    from mlchassis.adoption.command import adopt_and_run
    from mlchassis.adoption.formats.detect_source import Place
    from mlchassis.adoption.formats.overrides import FormatOverrides

    wishes = Wishes(
        target=target,
        task=task,
        positive=positive,
        key=key,
        event_time=event_time,
        group=group,
        features=frozenset(feature or ()),
        leakage=frozenset(leakage or ()),
        pii=frozenset(pii or ()),
    )
    place = Place(data, query, table, incremental, endpoint)
    formats = FormatOverrides(
        encoding,
        delimiter,
        tuple(decimal or ()),
        tuple(thousands or ()),
        tuple(date_format or ()),
        tuple(newest_year or ()),
        tuple(missing or ()),
        frozenset(text or ()),
        frozenset(number or ()),
    )
    paths = open_project(adopting=True)
    adopt_and_run(
        paths, place, wishes, formats, name=name, day_first=not month_first, yes=yes, force=force
    )


app.add_typer(verbs)


@app.command(rich_help_panel="Verbs")
def trace(
    request_id: Annotated[str, typer.Argument(help="Request id of the response (X-Request-ID).")],
) -> None:
    """Replay a logged prediction stage by stage and compare the result.

    Example: make trace ID=0f8fad5bd9cb469fa16570867728950e
    """
    from mlchassis.batch.replay import trace_request
    from mlchassis.config.settings import load_service_settings
    from mlchassis.features.code import load_feature_code

    settings = load_service_settings()
    features = load_feature_code(read_composition().load_service().features)
    for line in trace_request(settings.store, settings.log_directory, request_id, features):
        echo(line)


@app.command(rich_help_panel="Verbs")
def score(
    source: Annotated[str, typer.Argument(help="CSV or Parquet file, folder or pattern.")],
    output: Annotated[Path, typer.Argument(help="Parquet file to write.")],
) -> None:
    """Score every row of some files with the deployed model.

    Example: make score INPUT=data/raw OUTPUT=scores.parquet
    """
    from mlchassis.batch.scoring import score_deployed

    paths = open_project()
    for line in score_deployed(paths.store, source, output, paths.features):
        echo(line)


@app.command(rich_help_panel="Verbs")
def forget(
    key: Annotated[str, typer.Argument(help="Key of a row, or COLUMN=VALUE.")],
) -> None:
    """Remove a person's rows from data, caches, scores and logs; list what else holds them.

    Example: make forget KEY=customer_id=4711
    """
    from mlchassis.config.settings import load_service_settings
    from mlchassis.erasure.forget import forget as remove

    remove(open_project(), key, load_service_settings().log_directory, echo)


@app.command(
    rich_help_panel="Servers",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def serve(context: typer.Context) -> None:
    """Serve the deployed model until SIGTERM or SIGINT.

    Example: make serve PORT=9000
    """
    # `launch.run` starts it without this command line; here it is for the list of verbs.
    from mlchassis.serving.server.command import main

    main(read_composition().service, context.args)


@app.command(rich_help_panel="Servers")
def ui(port: Annotated[int, typer.Option(help="Port of the UI.")] = 5000) -> None:
    """Serve the MLflow UI with this project's runs and models.

    Example: make ui
    """
    from mlchassis.registry.mlflow_ui import open_ui

    open_ui(open_project(), port)


def list_verbs() -> list[str]:
    """Return the names of the built-in commands."""
    group: Any = typer.main.get_command(app)
    return sorted(group.commands)
