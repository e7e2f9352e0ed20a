"""kill -9 in the middle of a verb: the registry names one whole champion, whenever it came."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from mlchassis.config.params import Params
from mlchassis.project import Workspace
from mlchassis.workflow import release

MOMENTS = int(os.environ.get("KILL_MOMENTS", "3"))

# A process of its own, since it forks. A verb runs in a child that kills itself on one of the ways
# that it is known to go to files and to the database: drawn evenly, and the same on a slow machine.
# Before every kill the project is as it was before the verb.
DRIVER = r"""
import os, random, shutil, signal, sys
from pathlib import Path
from tempfile import TemporaryDirectory
# All that a verb imports, so that a child does nothing but its work.
import alembic.command, mlflow.pyfunc, onnxruntime, pandas, sqlalchemy, sqlalchemy.dialects.sqlite
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store
import mlchassis.workflow.release as release
from mlchassis.bundle.bundle import load_bundle, read_pointer
from mlchassis.config.params import load_params
from mlchassis.registry.promotion_history import promotions
from mlchassis.registry.promotion import CHALLENGER, CHAMPION, fetch_bundle
from mlchassis.registry.tracking import connect
from mlchassis.project import Workspace
from ml_service.project import project

paths = Workspace(Path.cwd(), project)
FEATURES = paths.features
params = load_params(paths.params)
name = load_bundle(paths.bundle, FEATURES).metadata.name
FILES = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}

def promote():
    release.promote(paths, None, "a test")
    release.deploy(paths)

VERBS = {
    "register": lambda: release.register(paths, params),
    "promote": promote,
    "rollback": lambda: release.rollback(paths, "a test"),
}

def in_child(act, die_at=None):
    '''How often the child went to a file or the database; None where it was killed.'''
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        code, seen = 1, 0
        def count(*_):
            nonlocal seen
            seen += 1
            if seen == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        try:
            sys.addaudithook(lambda name, _: count() if name in FILES else None)
            for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
                sqlalchemy.event.listen(sqlalchemy.Engine, moment, count)
            act()
            os.write(mouth, str(seen).encode())
            code = 0
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(code)
    os.close(mouth)
    with os.fdopen(ear) as told:
        answer = told.read()
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"{act} at {die_at} failed")
    return int(answer) if answer else None

def check(champions, done=False):
    '''One whole champion among these; the log holds nothing twice; no bundle has two versions.

    When a verb is done, the log, the challenger and what is served agree with the registry.
    '''
    def look():
        tracker = connect(paths, name)
        champion = tracker.read_alias(CHAMPION)
        assert champion is not None and champion.number in champions, champion
        with TemporaryDirectory() as scratch:
            assert fetch_bundle(tracker, champion, Path(scratch)).digest == champion.digest
        ids = [entry.id for entry in promotions(paths)]
        assert len(ids) == len(set(ids)), "a promotion is logged twice"
        versions = tracker._client.search_model_versions(f"name = '{name}'")
        digests = [version.tags["bundle_digest"] for version in versions]
        assert len(digests) == len(set(digests)), "a bundle has two versions"
        pointer = read_pointer(paths.store)
        if done:
            assert pointer.model_version == champion.number, pointer
            assert promotions(paths)[-1].version == champion.number, promotions(paths)
            assert tracker.read_alias(CHALLENGER).number == "2"
        served = load_bundle(paths.store / "bundles" / pointer.digest, FEATURES)
        assert served.digest == pointer.digest
    in_child(look)


def restore(state):
    shutil.rmtree(paths.var)
    shutil.copytree(state, paths.var)

def rehearse():
    '''Each verb once, let finish: its length, and the state from which it started.'''
    known = {}
    for verb, act in VERBS.items():
        state = paths.root / f"before-{verb}"
        shutil.copytree(paths.var, state)
        known[verb] = state, in_child(act)
    return known

known, chance = rehearse(), random.Random(2013)
for number in range(int(sys.argv[1])):
    verb, after = (("register", "1"), ("promote", "2"), ("rollback", "1"))[number % 3]
    state, length = known[verb]
    restore(state)
    moment = chance.randint(1, length - 1)
    assert in_child(VERBS[verb], moment) is None, "the verb ended before it was killed"
    check(("1",) if verb == "register" else ("1", "2"))
    in_child(VERBS[verb])
    check((after,), done=True)
    print(f"killed {verb} at {moment} of {length}")
"""


@pytest.mark.one_python
def test_a_verb_killed_at_any_moment_leaves_one_whole_champion(
    project: Workspace, params: Params, replace_bundle: Callable[..., str]
) -> None:
    release.judge(project, params)
    release.register(project, params)
    release.promote(project, None, "a test")
    release.deploy(project)
    replace_bundle(project)
    release.judge(project, params)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(MOMENTS)],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr[-3000:]}"
    assert done.stdout.count("killed") == MOMENTS
