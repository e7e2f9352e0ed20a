"""The public names of mlchassis: importable one by one, without libraries that they do not need."""

import subprocess
import sys

import pytest

import mlchassis
from mlchassis import testing

pytestmark = pytest.mark.one_python

TRAINING = {
    *("dvc", "joblib", "lightgbm", "matplotlib", "mlflow", "onnx", "onnxmltools", "optuna"),
    *("pandas", "pandera", "pyarrow", "scipy", "skl2onnx", "sklearn", "sqlalchemy", "typer"),
}
SERVING = ["Contract", "FeatureMatrix", "ModelDep", "ProjectError", "Scorer", "Service"]


def run_fresh(program: str) -> str:
    """Run a program in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def list_loaded(statement: str) -> set[str]:
    """Return the top packages that a statement loads in a process of its own."""
    program = f"import sys; {statement}; print(*sys.modules)"
    return {name.partition(".")[0] for name in run_fresh(program).split()}


@pytest.mark.parametrize("name", [*mlchassis.__all__, "cli.run"])
def test_a_public_name_is_imported_by_itself(name: str) -> None:
    module, _, member = f"mlchassis.{name}".rpartition(".")
    printed = run_fresh(f"from {module} import {member}; print(callable({member}))")
    assert printed == "True\n"


def test_the_suites_are_imported_by_themselves() -> None:
    names = ", ".join(testing.__all__)
    printed = run_fresh(f"from mlchassis.testing import {names}; print({names})")
    assert printed.count("class 'mlchassis.testing.") == len(testing.__all__)


def test_the_package_alone_loads_no_library() -> None:
    before = list_loaded("pass")
    assert list_loaded("import mlchassis") - before - set(sys.stdlib_module_names) == {"mlchassis"}


@pytest.mark.parametrize("name", SERVING)
def test_a_name_for_serving_loads_no_training_library(name: str) -> None:
    assert list_loaded(f"from mlchassis import {name}") & TRAINING == set()


def test_the_project_and_its_extension_points_load_no_training_library() -> None:
    names = ["Project", "ParamsSection", "Estimator", "metric", "gate", "monitor"]
    assert list_loaded(f"from mlchassis import {', '.join(names)}") & TRAINING == set()


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mlchassis' has no attribute 'Scorers'"):
        _ = mlchassis.Scorers
