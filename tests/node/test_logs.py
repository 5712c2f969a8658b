"""Log lines: JSON for machines, one line for people, whatever strangers put in."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from node.logs import JsonFormatter, TextFormatter, begin_log, log_to_file, write_crash


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "node.test", "levelname": "WARNING", "msg": message})
    vars(made).update(extra)
    return made


def test_a_json_line_has_what_belongs_to_the_event() -> None:
    line = JsonFormatter().format(record("two\nlines", peer="x", path=Path("a")))
    assert "\n" not in line
    document = json.loads(line)
    assert (document["level"], document["message"]) == ("warning", "two\nlines")
    assert (document["peer"], document["path"]) == ("x", "a")


def test_a_line_for_people_hides_no_control_characters() -> None:
    line = TextFormatter().format(record("evil \x1b[2J\nforged line"))
    assert "\x1b" not in line
    assert "\n" not in line


def test_the_log_goes_to_the_home(tmp_path: Path) -> None:
    begin_log()
    log_to_file(tmp_path / "logs" / "node.log", level="info")
    logging.getLogger("node.test").info("hello", extra={"publisher": "abc"})
    logging.getLogger("someone.else").info("chatter")
    begin_log()
    logging.getLogger("node.test").info("nobody hears this")
    (line,) = (tmp_path / "logs" / "node.log").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["publisher"] == "abc"


def test_a_crash_is_kept(tmp_path: Path) -> None:
    path = write_crash(tmp_path, "first")
    assert write_crash(tmp_path, "second") == path
    assert "first" in path.read_text(encoding="utf-8")
    assert write_crash(tmp_path / "no home", "third").name == "locmesh-crash.log"
