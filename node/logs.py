"""Where the log goes: a file in the home, and for a running node the terminal too."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

__all__ = [
    "JsonFormatter",
    "TextFormatter",
    "begin_log",
    "log_to_file",
    "log_to_terminal",
    "write_crash",
]

FILE_SIZE_MAX = 10_000_000
FILES_KEPT = 5
_attached: list[logging.Handler] = []
_OWN_LOGGERS = ("node", "protocol", "smlmfmt")
# What every log record carries; everything beside it was given as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object on one line per record, `extra` fields included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """One line for people; a traceback, if there is one, below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name.
        """Return the line, with control characters from outside made visible."""
        line = super().formatMessage(record)
        return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)


def begin_log() -> None:
    """Log nowhere until a command has opened its home.

    Nothing that is logged may ever stand between the lines that a person or a script reads.
    """
    logging.raiseExceptions = False
    root = logging.getLogger()
    for handler in _attached:
        root.removeHandler(handler)
        handler.close()
    _attached.clear()
    _attach(logging.NullHandler(), "info")


def log_to_file(path: Path, *, level: str) -> None:
    """Write the log as JSON lines to a file that is rotated at 10 MB.

    Only for one process at a time on one path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=FILE_SIZE_MAX, backupCount=FILES_KEPT, encoding="utf-8", delay=True
    )
    handler.setFormatter(JsonFormatter())
    _attach(handler, level)


def log_to_terminal(*, level: str) -> None:
    """Write the log to stderr: for people on a terminal, as JSON lines in a pipe."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if sys.stderr.isatty() else JsonFormatter())
    _attach(handler, level)


def write_crash(home: Path, text: str) -> Path:
    """Append a traceback to the home's crash log, or to a temporary file without a home."""
    if home.is_dir():
        path = home / "logs" / "crash.log"
        path.parent.mkdir(exist_ok=True)
    else:
        path = Path(tempfile.gettempdir()) / "locmesh-crash.log"
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n{text}\n")
    return path


def _attach(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.addHandler(handler)
    _attached.append(handler)
    root.setLevel(logging.WARNING)  # Other people's loggers speak only when something is wrong.
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
