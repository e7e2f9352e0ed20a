import asyncio
import gc
import io
import json
import logging

import pytest

from mlchassis.serving.logs.operational import StructuredHandler, make_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_json() -> None:
    stream = io.StringIO()
    make_logger(stream).info("ready", port=8000)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["port"], line["level"]) == ("ready", 8000, "info")


def test_a_line_break_in_a_value_makes_no_second_line() -> None:
    stream = io.StringIO()
    make_logger(stream).info("a\nb", value="c\r\nd \N{LINE SEPARATOR}")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_gets_lines_for_people() -> None:
    stream = Terminal()
    make_logger(stream).info("ready")
    assert not stream.getvalue().startswith("{")


def test_a_closed_stream_fails_nothing() -> None:
    stream = io.StringIO()
    logger = make_logger(stream)
    stream.close()
    logger.info("ready")


def test_what_libraries_log_is_passed_on_without_the_message_of_an_error() -> None:
    stream = io.StringIO()
    record = logging.LogRecord("uvicorn", logging.ERROR, "", 1, "it %s", ("broke",), None)
    error = ValueError("SECRET")
    record.exc_info = (ValueError, error, None)
    StructuredHandler(make_logger(stream)).handle(record)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["logger"], line["error"]) == ("it broke", "uvicorn", "ValueError")
    assert "SECRET" not in stream.getvalue()


def test_the_error_of_a_forgotten_task_is_logged_without_its_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("asyncio")
    # Libraries that configure logging in this process disable the loggers of others.
    monkeypatch.setattr(logger, "disabled", False)
    level = logger.level
    logger.setLevel(logging.ERROR)
    handler = StructuredHandler(make_logger(stream))
    logger.addHandler(handler)

    async def forget() -> None:
        async def fail() -> None:
            raise ValueError("SECRET")

        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        del task
        gc.collect()

    try:
        asyncio.run(forget())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["error"]) == ("Task exception was never retrieved", "ValueError")
    assert "SECRET" not in stream.getvalue()
