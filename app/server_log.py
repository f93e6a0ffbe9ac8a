"""Our own log (never the agents'): structlog, with everything secret dropped before it is written."""

import logging
import sys

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

SECRET_KEYS = frozenset({"node_key", "enroll_secret", "password", "token", "authorization", "cookie", "database_url"})


#: Tracebacks without local variables, for those may hold keys and bodies.
_JSON: tuple[Processor, ...] = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
_CONSOLE: tuple[Processor, ...] = (structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),)


def drop_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: "[secret]" if key in SECRET_KEYS else value for key, value in event.items()}


def configure_log(*, as_json: bool | None = None, level: int = logging.INFO) -> None:
    """JSON when asked, or by default when standard error is not a terminal."""
    json_wanted = not sys.stderr.isatty() if as_json is None else as_json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_secrets,
            *(_JSON if json_wanted else _CONSOLE),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
