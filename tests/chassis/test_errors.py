"""Errors of libraries in a sentence for people."""

import pytest
import yaml

from mlchassis.errors import describe_yaml_error

OPEN = (
    "line 2, column 9: expected ',' or '}', but got '<stream end>' while parsing a flow mapping "
    "from line 2 on"
)


@pytest.mark.parametrize(
    ("text", "described"),
    [
        (
            "a: 1\nb: {c: 1",
            OPEN,
        ),
        ("a: 1\nb: c: 2", "line 2, column 5: mapping values are not allowed here"),
        ("a: 2020-99-99", "month must be in 1..12"),
    ],
)
def test_an_error_of_yaml_names_the_line(text: str, described: str) -> None:
    with pytest.raises((yaml.YAMLError, ValueError)) as failure:
        yaml.safe_load(text)
    assert describe_yaml_error(failure.value) == described
