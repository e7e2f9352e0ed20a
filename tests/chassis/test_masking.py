"""Secrets: masked wherever an address is printed, and refused where one would be stored."""

import time
from pathlib import Path

import pytest
import yaml

import ml_service
from mlchassis.adoption.formats.detect_source import DataLocation, open_source
from mlchassis.adoption.formats.overrides import FormatOverrides
from mlchassis.config.params import ParamsError, load_params
from mlchassis.errors import ProjectError
from mlchassis.masking import mask_address, mask_secrets, name_secret
from mlchassis.paths import Paths
from mlchassis.registry.mlflow_ui import ui_command, ui_environment
from mlchassis.registry.tracking import TrackingError, connect
from mlchassis.registry.tracking_uri import TrackingSettings, resolve_tracking_location

pytestmark = pytest.mark.one_python

ROOT = Path(ml_service.__file__).parents[2]
ODBC = "DRIVER%3D%7BODBC%20Driver%2018%7D%3BUID%3Dbob%3BPWD%3Ds3cr3t"
WITH_SECRET = [
    "postgresql://bob:s3cr3t@db/x",
    "postgresql://bob:s3cr3t@db:notaport/x",
    "postgresql://bob:s3cr3t@[::1]:5432/x",
    "postgresql://bob:more/s3cr3t@db/x",
    "postgresql://bob:more@s3cr3t@db/x",
    "postgresql://bob:more?s3cr3t@db/x",
    "postgresql://bob:more#s3cr3t@db/x",
    "postgresql://bob:more s3cr3t@db/x",
    "postgresql//bob:s3cr3t@db/x",
    "POSTGRESQL+psycopg://Bob:s3cr3t%40@db/x",
    "https://s3cr3t:x-oauth-basic@host/x.csv",
    "https://host/x.csv?pass%77ord=s3cr3t",
    "postgres:/bob:s3cr3t@db",
    "postgresql://bob@db/x?password=s3cr3t",
    "postgresql://db/x?user=bob&PassWord=s3cr3t",
    "postgresql://db/x?sslmode=require&sslpassword=s3cr3t",
    "mysql://bob@db/x?passwd=s3cr3t",
    f"mssql+pyodbc:///?odbc_connect={ODBC}",
    "mssql+pyodbc://db/x?odbc_connect=DRIVER={ODBC Driver 18};PWD={s3cr3t;s3cr3t};UID=bob",
    "duckdb:///md:x?motherduck_token=s3cr3t",
    "s3://AKIA:s3cr3t@bucket/key.csv",
    "https://s3cr3t@host/x.csv",
    "https://host/x.csv?sig=s3cr3t",
    "https://host/x.csv?pass=s3cr3t",
    "https://host/x.csv?auth=s3cr3t",
    "postgresql://host/x?passphrase=s3cr3t",
    "https://host/x.csv?X-Amz-Signature=s3cr3t",
    "https://host/x.csv?api_key=s3cr3t",
    "oracle://scott/s3cr3t@db:1521/x",
    "oracle+oracledb://scott/s3cr3t@db/x",
    "https://host/cb#access_token=s3cr3t&state=1",
    "https://host/cb?page=1#id_token=s3cr3t",
    "postgresql://bob:more\ns3cr3t@db/x",
]
WITHOUT_SECRET = [
    "postgresql://bob@db:5432/x",
    "postgresql://bob@db/x?sslmode=verify-full&sslkey=/etc/key.pem&passfile=/run/pass",
    "postgresql://db/x?user=bob@corp",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BTrusted_Connection%3Dyes",
    "sqlite:////srv/orders.db",
    "s3://bucket/folder/key.csv",
    "data/a:b/orders.csv",
]


@pytest.mark.parametrize("address", WITH_SECRET)
def test_an_address_is_shown_without_its_secret(address: str) -> None:
    assert "s3cr3t" not in mask_address(address)
    assert "s3cr3t" not in mask_secrets(f"MLflow at {address} rejects the request: ({address})")
    assert name_secret(address)


@pytest.mark.parametrize("address", WITHOUT_SECRET)
def test_an_address_without_a_secret_is_accepted(address: str) -> None:
    assert name_secret(address) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Driver={X};UID=bob;PWD=s3cr3t;Port=1",
        "Driver={X};UID=bob;pwd={s3cr3t;s3cr3t};Port=1",
        "AccountName=a;AccountKey=s3cr3t==;EndpointSuffix=x",
        "connect failed: host=db user=bob password=s3cr3t dbname=x",
        "connect failed: host=db password='my s3cr3t' dbname=x",
        "{'user': 'bob', 'password': 's3cr3t'}",
        "odbc_connect=DRIVER%253DX%253BPWD%253Ds3cr3t",
        "bob:s3cr3t@db refused",
        "AWS_SECRET_ACCESS_KEY: s3cr3t",
        "Authorization: Bearer s3cr3t",
        "psql --password s3cr3t --host db",
        "PGPASSWORD=s3cr3t psql",
        "jdbc:postgresql://db/x?user=bob&password=s3cr3t",
        "DefaultEndpointsProtocol=https;AccountKey=s3cr3t==",
        "connect failed with password: s3cr3t for bob",
        "Password:s3cr3t",
        "passphrase: 'my s3cr3t'",
        "the api key: s3cr3t was refused",
        "token: abcdefghij0123456789s3cr3t",
        "private_key=MIIE more s3cr3t",
        "private_key=MIIE more s3cr3t;Port=1",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\ns3cr3t\n-----END RSA PRIVATE KEY-----",
        r"-----BEGIN PRIVATE KEY-----\nMIIE\ns3cr3t",
        "UID=bob;PWD=my s3cr3t;Port=1",
        "UID=bob;PWD=my s3cr3t",
        "UID=bob;PWD={my}}s3cr3t};Port=1",
        "{'user': 'bob', 'password': 'my\ns3cr3t'}",
        r'{"user": "bob", "password": "my\"s3cr3t"}',
        r"host=db password='it\'s s3cr3t' dbname=x",
    ],
)
def test_a_text_is_shown_without_the_secrets_in_it(text: str) -> None:
    assert "s3cr3t" not in mask_secrets(text)


def test_a_secret_of_the_environment_is_masked_wherever_it_occurs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCE_PASSWORD", "hunter22")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://bob:swordfish@db/x")
    assert mask_secrets("FATAL: hunter22, swordfish") == "FATAL: ***, ***"


def test_what_stands_around_a_masked_secret_is_still_shown() -> None:
    text = "refused: UID=bob;PWD=my s3cr3t\npassword: s3cr3t for bob at db"
    shown = "refused: UID=bob;PWD=***\npassword: *** for bob at db"
    assert mask_secrets(text) == shown
    assert mask_address("https://host/cb?page=1#token=s3cr3t") == "https://host/cb?page=1#token=***"
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    assert mask_secrets(f"key {key} is refused") == "key *** is refused"


@pytest.mark.parametrize(
    "part", ["a", "key", "password", "PASSWORD", "'key", "://a:", "token:", "oracle", ";pwd="]
)
def test_the_time_for_a_long_text_does_not_grow_with_its_square(part: str) -> None:
    # Patterns that search again from each letter would take minutes of processor time; one second
    # is usual.
    text = "?" + part * (400_000 // len(part))
    started = time.process_time()
    mask_secrets(text)
    assert time.process_time() - started < 20


def test_plain_sentences_stay_as_they_are() -> None:
    text = "Write: make forget KEY=12, or see https://example.org/a?page=2 at 12:30; token: x."
    assert mask_secrets(text) == text


@pytest.mark.parametrize("address", WITH_SECRET)
def test_adopt_refuses_a_secret_before_anything_is_written(address: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        open_source(
            DataLocation(address, table="orders"), tmp_path, FormatOverrides(), lambda _, safe: safe
        )
    assert "s3cr3t" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "sql", "url": "postgresql://bob:s3cr3t@db/x", "query": "source.sql"},
        {"kind": "sql", "url": "postgresql://db/x?password=s3cr3t", "query": "source.sql"},
        {"kind": "s3", "path": "s3://AKIA:s3cr3t@bucket/key.csv"},
        {"kind": "s3", "path": "s3://bucket/key.csv", "endpoint": "https://u:s3cr3t@storage"},
        {"kind": "files", "path": "https://s3cr3t@host/x.csv"},
    ],
)
def test_a_secret_in_the_parameters_is_refused_without_repeating_it(
    source: dict[str, str], tmp_path: Path
) -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({**document, "source": source}))
    with pytest.raises(ParamsError, match="holds a secret") as caught:
        load_params(params)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://bob:s3cr3t@localhost:notaport/x",
        "nosuch://bob:s3cr3t@localhost/x",
        "http://bob:s3cr3t@localhost:99999",
        "http://s3cr3t@[bad",
    ],
)
def test_an_odd_address_of_the_registry_is_one_sentence(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(TrackingError) as caught:
        connect(Paths(tmp_path), "orders")
    assert "s3cr3t" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_registry_gets_no_secret_with_the_place_of_its_artifacts(tmp_path: Path) -> None:
    root = "s3://AKIA:s3cr3t@bucket/models"
    with pytest.raises(ProjectError, match="MLFLOW_DEFAULT_ARTIFACT_ROOT") as caught:
        resolve_tracking_location(
            Paths(tmp_path), TrackingSettings(mlflow_default_artifact_root=root)
        )
    assert "s3cr3t" not in str(caught.value)


def test_the_process_list_shows_no_address_of_a_database(tmp_path: Path) -> None:
    database = "postgresql://bob:s3cr3t@db/x"
    location = resolve_tracking_location(
        Paths(tmp_path), TrackingSettings(mlflow_tracking_uri=database)
    )
    assert not any("s3cr3t" in word for word in ui_command(5000))
    assert ui_environment(location)["MLFLOW_BACKEND_STORE_URI"] == database
