"""Structured logs: one JSON object per line; on a terminal, lines for people.

They never hold what a client sent but for its request id.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor


class _Stream:
    """A stream that may vanish (a closed pipe, a full disk) without failing a request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            return

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


def make_logger(stream: TextIO) -> FilteringBoundLogger:
    """A logger of its own, which writes to `stream`; no global configuration is touched."""
    renderer: Processor = structlog.processors.JSONRenderer(_dump)
    if stream.isatty():
        renderer = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback, pad_event_to=12
        )
    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", _Stream(stream))),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_lines(renderer),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", logger.bind())


def _render_lines(render: Processor) -> Processor:
    """Render an event with `lines` as a line for each of them: much of the cost is the event's."""

    def render_lines(logger: Any, method: str, event: Any) -> Any:
        lines = event.pop("lines", [{}])
        return "\n".join([str(render(logger, method, {**line, **event})) for line in lines])

    return render_lines


def _dump(event: Any, default: Callable[[Any], Any]) -> str:
    """A line of JSON; what some call a line end is escaped, and so is what is not UTF-8."""
    with suppress(UnicodeEncodeError):
        line = msgspec.json.encode(event, enc_hook=default).decode()
        if line.isascii():
            return line
    return json.dumps(event, default=default)


class StructuredHandler(logging.Handler):
    """Handler that forwards log records of libraries to a structured logger."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record without its traceback, whose message may repeat a request's value."""
        details: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            details["error"] = record.exc_info[0].__name__
        message = str(record.msg) % record.args if record.args else str(record.msg)
        if record.name == "asyncio":
            # Its further lines repeat the error of a task or a future, with its message.
            message = message.partition("\n")[0]
        self._logger.log(record.levelno, message, **details)
