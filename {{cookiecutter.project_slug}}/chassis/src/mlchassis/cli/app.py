"""The command line: one group, one command per stage and per verb.

Nothing heavy is imported before the command that needs it runs.
"""

import gc
import inspect
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from mlchassis.cli.adopt import AdoptFlags, with_adopt_flags
from mlchassis.cli.commands import (
    open_project,
    read_composition,
    read_project,
    use_composition,
    verbs,
)
from mlchassis.errors import ProjectError
from mlchassis.extensions.stages import STAGE_NAME
from mlchassis.project import Stage
from mlchassis.team_code.errors import describe_failure
from mlchassis.telemetry import silence_telemetry
from mlchassis.terminal import echo, fail
from mlchassis.workspace.api_version import check_api
from mlchassis.workspace.outputs import protect, read_outputs, recording
from mlchassis.workspace.step_outputs import write_step_outputs

STAGES = {
    "ingest": "Store every available month in data/raw.",
    "validate": "Validate every row by the contract; quarantine invalid rows.",
    "split": "Split the labeled rows into train, validation and test.",
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
        with _reporting():  # Help lists the project's own stages, so it loads its code.
            return super().parse_args(ctx, split_options(args))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, the project's own stages last."""
        return [*super().list_commands(ctx), *_read_own_stages(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a built-in command, or else the project's own stage of that name."""
        built_in = super().get_command(ctx, cmd_name)
        if built_in is not None or not STAGE_NAME.fullmatch(cmd_name):
            return _unwrap_help(built_in)
        stage = _read_own_stages(ctx).get(cmd_name)
        return None if stage is None else make_stage_command(cmd_name, stage)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; for an unknown name, suggest built-in commands and own stages."""
        name = args[0]
        matches = get_close_matches(name, self.list_commands(ctx))
        if matches and self.get_command(ctx, name) is None and not name.startswith("-"):
            names = ", ".join(f"'{match}'" for match in matches)
            ctx.fail(f"No such command '{name}'. Did you mean {names}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _reporting():
            return super().invoke(ctx)


def _unwrap_help(command: Any) -> Any:
    """Join the lines of each paragraph of a help text: a terminal has a width of its own."""
    if command is not None and command.help:
        paragraphs = re.split(r"\n\s*\n", command.help)
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return command


@contextmanager
def _reporting() -> Iterator[None]:
    """Print an expected error, and one in the project's code, and exit with code 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # The reader of the output has left; typer ends quietly.
    # A project's code that calls `sys.exit` would end the command without a sentence.
    except (Exception, SystemExit) as error:
        lines = describe_failure(error) or _describe_refusal(error)
        if not lines:
            raise
        fail(lines[-1], details=lines[:-1])
        raise typer.Exit(1) from None


def _describe_refusal(error: BaseException) -> list[str]:
    """Return a sentence about a full disk or a missing permission; nothing for another error."""
    if not isinstance(error, OSError):
        return []
    why = " ".join(str(error).split())
    # Files are written whole or not at all.
    sentence = f"the operating system reports: {why}; free space or grant the permission"
    return [f"{sentence}, and run again. Nothing is half-written."]


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
    from mlchassis.config.settings import load_service_settings
    from mlchassis.workflow import pipeline

    # `make run` serves at its end: an invalid variable must not come to light only then.
    load_service_settings()
    pipeline.run_everything(open_project(), echo)


@app.command(rich_help_panel="Everything")
def repro() -> None:
    """Run the stages of the pipeline whose inputs changed; repair after a killed run.

    Example: make repro
    """
    from mlchassis.workflow import pipeline

    pipeline.repro(open_project(), echo)


@app.command(rich_help_panel="Everything")
def rows() -> None:
    """Find where a run would take its rows from; pull them if the DVC remote alone has them.

    A step of a workflow has the output place: source, stored, pulled or none.

    Example: make rows
    """
    from mlchassis.workflow.availability import find_rows

    rows_found = find_rows(open_project(), ask=True)
    echo(f"rows: {rows_found.place}{f', since {rows_found.reason}' if rows_found.reason else ''}")
    write_step_outputs({"place": rows_found.place})


@app.command(rich_help_panel="Everything")
def stores(
    require: Annotated[
        bool, typer.Option("--require", help="Fail unless both are shared.")
    ] = False,
) -> None:
    """Check that DVC's remote and MLflow's records are shared with other machines.

    A step of a workflow has the outputs shared (true or false) and sentence.

    Example: make stores
    """
    from mlchassis.workflow.stores import check_stores

    checked = check_stores(open_project())
    if require and not checked.shared:
        raise ProjectError(checked.sentence)
    echo(f"stores: {checked.sentence}")
    write_step_outputs({"shared": str(checked.shared).lower(), "sentence": checked.sentence})


@app.command(rich_help_panel="Everything")
def pull() -> None:
    """Pull the data and models of dvc.lock from the DVC remote.

    Example: make pull
    """
    from mlchassis.workflow import pipeline

    pipeline.pull(open_project())


@app.command(rich_help_panel="Everything")
@with_adopt_flags
def adopt(flags: AdoptFlags) -> None:
    """Adapt the project to your table: contract, settings and model.

    Example: make adopt DATA=/data/orders.csv TARGET=returned ARGS="--event-time ordered"

    Files: ARGS="--encoding cp1251 --delimiter ';' --decimal , --thousands 'weight=.'"

    Columns: ARGS="--category zip --number 'house no' --missing 'country=NA' --date-format
    'born=%d.%m.%y' --newest-year born=2024"
    """
    from mlchassis.adoption.command import adopt_and_run

    adopt_and_run(open_project(adopting=True), flags.to_options())


app.add_typer(verbs)


@app.command(rich_help_panel="Verbs")
def replay(
    request_id: Annotated[str, typer.Argument(help="Request id of the response (X-Request-ID).")],
) -> None:
    """Replay a logged prediction stage by stage and compare the result.

    Example: make replay ID=0f8fad5bd9cb469fa16570867728950e
    """
    from mlchassis.batch.replay import replay_request
    from mlchassis.config.settings import load_service_settings
    from mlchassis.features.code import load_feature_code

    check_api(Path.cwd())
    settings = load_service_settings()
    features = load_feature_code(read_composition().load_service().features)
    for line in replay_request(settings.store, settings.log_directory, request_id, features):
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
def monitor() -> None:
    """Compare the prediction log and late labels with the deployed model's reference.

    Exit codes: 0 ok, 10 watch, 20 retrain, 30 broken; an error is 1. Facts are in
    reports/monitor.json, pictures in reports/monitor.html. A step of a workflow has the outputs
    status and sentence.

    Example: make monitor
    """
    from mlchassis.config.settings import load_service_settings
    from mlchassis.monitoring.monitor import PAGE
    from mlchassis.monitoring.monitor import monitor as watch_production
    from mlchassis.monitoring.results import EXIT_CODES

    settings = load_service_settings()
    paths, params = read_project()
    report = watch_production(paths, params, settings.store, settings.log_directory)
    echo(f"{report.status}: {report.sentence}")
    echo(f"written: {paths.reports / PAGE}")
    write_step_outputs({"status": report.status, "sentence": report.sentence})
    raise typer.Exit(EXIT_CODES[report.status])


@app.command("compact-log", rich_help_panel="Verbs")
def compact_log() -> None:
    """Turn closed segments of the prediction log into Parquet files; delete rows that are too old.

    Segments that a service writes are left alone, so run it at any time, such as once a day.
    monitor.retention_days in params.yaml limits how long rows are kept; by default, all are.

    Example: make compact-log
    """
    from datetime import UTC, datetime

    from mlchassis.config.settings import load_service_settings
    from mlchassis.prediction_log.compaction import compact_log as compact

    _, params = read_project()
    folder = load_service_settings().log_directory
    done = compact(folder, params.monitor.retention_days, datetime.now(UTC))
    echo(
        f"compacted {done.segments:,} segments into {done.files:,} Parquet files in {folder}; "
        f"{done.open:,} are in use, {done.expired:,} files were too old"
    )


@app.command(rich_help_panel="Verbs")
def simulate(
    start: Annotated[
        str | None, typer.Option(help="Last month (YYYY-MM) of the first model's data.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Last day (YYYY-MM-DD) to play.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Largest number of rows scored on a day.")] = 300,
    delay: Annotated[int, typer.Option(min=0, max=3650, help="Days until a label arrives.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of rows.")] = 0,
    faults: Annotated[
        list[str] | None, typer.Option(help="Fault to switch on: NAME@DATE or NAME:COLUMN@DATE.")
    ] = None,
) -> None:
    """Play the months after ingest.as_of through the real service in a copy of the project.

    Rows are scored over HTTP, labels arrive later, the monitor runs, and each new month is
    retrained on. The table and the picture are in var/simulation. Nothing else changes.

    Faults: unit-change, renamed-category, null-spike, leaked-label, doubled-join, concept-change,
    service-outage and late-partition (docs/simulation.md).

    Example: make simulate ARGS="--faults unit-change@2013-10-06 --until 2013-10-31"
    """
    from mlchassis.simulation.command import run_simulation
    from mlchassis.simulation.options import SimulationOptions, read_day

    options = SimulationOptions(start, read_day(until), rows, delay, seed, tuple(faults or ()))
    for line in run_simulation(open_project(), options):
        echo(line)


@app.command(rich_help_panel="Verbs")
def smoke(
    url: Annotated[
        str | None, typer.Option(help="Address of the service; this machine's if left out.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Duration of the load.")] = 0,
    p99_ms: Annotated[float, typer.Option(min=0, help="Limit of the 99th percentile.")] = 250,
    any_bundle: Annotated[
        bool, typer.Option("--any-bundle", help="Accept another bundle than the deployed one.")
    ] = False,
) -> None:
    """Test a running service: ready with the deployed bundle, golden answers, latency.

    Example: make smoke URL=https://ml.example.org ARGS="--seconds 60 --p99-ms 100"
    """
    from mlchassis.config.settings import load_service_settings
    from mlchassis.workflow.smoke import Client, SmokeOptions, check_service, read_deployed

    check_api(Path.cwd())
    settings = load_service_settings()
    client = Client(url or settings.url, settings.api_key)
    options = SmokeOptions(seconds, p99_ms, any_bundle)
    check_service(client, read_deployed(settings.store), options, echo)


@app.command(rich_help_panel="Verbs")
def forget(
    key: Annotated[str, typer.Argument(help="Key of a row, or COLUMN=VALUE.")],
) -> None:
    """Remove a person's rows from data, caches, scores and logs; list what else holds them.

    Example: make forget KEY=customer_id=4711
    """
    from mlchassis.config.settings import load_service_settings
    from mlchassis.erasure.forget import forget_rows

    forget_rows(open_project(), key, load_service_settings().log_directory, echo)


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
