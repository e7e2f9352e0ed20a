import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import ml_service
from mlchassis.config.settings import ServiceSettings, load_service_settings
from mlchassis.errors import ProjectError


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_MAX_ROWS", "7")
    monkeypatch.setenv("SERVICE_STORE", "/srv/models")
    settings = load_service_settings()
    assert (settings.max_rows, settings.store) == (7, Path("/srv/models"))


def test_what_is_given_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PORT", "1")
    assert load_service_settings(port=2).port == 2


def test_the_service_listens_on_this_machine_alone_by_default() -> None:
    assert load_service_settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_PORT", "many"),
        ("SERVICE_PORT", "70000"),
        ("SERVICE_MAX_ROWS", "0"),
        ("SERVICE_DEADLINE_SECONDS", "nan"),
        ("SERVICE_ROOT_PATH", "models/"),
        ("SERVICE_CORS_ORIGINS", "https://shop.example.org/"),
        # Values that would fail, or never end, long after the start.
        *(
            (f"SERVICE_{name}", "9" * 30)
            for name in (
                *("LOG_SEGMENT_BYTES", "MAX_BODY_BYTES", "MAX_ROWS", "MAX_CONCURRENCY"),
                *("INLINE_BYTES", "MODEL_THREADS", "DRAIN_SECONDS", "SHUTDOWN_DELAY_SECONDS"),
                *("DEADLINE_SECONDS", "WATCH_SECONDS"),
            )
        ),
        # As a variable gives it that was not filled in; it would mean the current folder.
        ("SERVICE_STORE", ""),
        ("SERVICE_LOG_DIRECTORY", ""),
        ("SERVICE_API_KEYS_FILE", ""),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ProjectError, match=f"^{name} is '{value}'"):
        load_service_settings()


def test_every_setting_of_the_service_is_in_the_example_with_its_default() -> None:
    example = (Path(ml_service.__file__).parents[2] / ".env.example").read_text()
    listed = dict(re.findall(r"^#(SERVICE_\w+)=(.*)$", example, re.MULTILINE))
    fields = ServiceSettings.model_fields
    assert set(listed) == {f"SERVICE_{name}".upper() for name in fields}
    given = {name.removeprefix("SERVICE_").lower(): text for name, text in listed.items() if text}
    defaults = {name: fields[name].default for name in given}
    assert ServiceSettings(**given).model_dump(include=set(given)) == defaults
    assert all(fields[name].default in (None, "", ()) for name in fields.keys() - given.keys())


def test_origins_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_CORS_ORIGINS", "https://a.example.org, http://localhost:3000")
    origins = load_service_settings().cors_origins
    assert origins == ("https://a.example.org", "http://localhost:3000")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("ml.example.org", "http://ml.example.org:8000"),
        ("::1", "http://[::1]:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - not bound to
        ("::", "http://[::1]:8000"),
    ],
)
def test_a_client_on_this_machine_uses_an_address_that_the_service_answers_to(
    host: str, address: str
) -> None:
    settings = ServiceSettings(host=host)
    assert settings.url == address
    assert urlsplit(address).netloc.removesuffix(":8000") in settings.hosts


def test_settings_cannot_be_changed() -> None:
    settings = ServiceSettings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
