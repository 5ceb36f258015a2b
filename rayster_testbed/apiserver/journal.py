"""Keeps the store's events in an SQLite file, so that a killed server comes back with everything it acknowledged.

The file is a log: one row per write, and a table of objects that holds everything older than the log. A write is
one insert; rows move from the log to the table when the log grows. SQLite's write-ahead file is handed to the
kernel before a write returns, which survives SIGKILL (a power cut may cost the last writes, as it may on a laptop).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    rv INTEGER PRIMARY KEY, type TEXT, storage TEXT, namespace TEXT, name TEXT, raw BLOB);
CREATE TABLE IF NOT EXISTS objects (
    storage TEXT, namespace TEXT, name TEXT, raw BLOB, PRIMARY KEY (storage, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT);
"""


class LogRow(NamedTuple):
    """One write: `raw` is the object as JSON, for DELETED its last state."""

    rv: int
    type: str
    storage: str
    namespace: str
    name: str
    raw: bytes


class Journal:
    """The file behind one store."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)

    def objects(self) -> Iterator[tuple[str, str, str, bytes]]:
        """Storage key, namespace, name and JSON of every object as of the compacted version."""
        return iter(self._db.execute("SELECT storage, namespace, name, raw FROM objects"))

    def log(self) -> Iterator[LogRow]:
        """Every write since the compacted version, oldest first."""
        return (LogRow(*row) for row in self._db.execute("SELECT * FROM log ORDER BY rv"))

    def meta(self, key: str, default: str) -> str:
        """A small fact kept beside the objects."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small fact."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def append(self, row: LogRow) -> None:
        """Keep one write; when this returns, SIGKILL does not lose it."""
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row)

    def compact(self, rows: Iterable[LogRow], version: int) -> None:
        """Move `rows` (the oldest ones, up to `version`) from the log into the table of objects."""
        self._db.execute("BEGIN")
        for row in rows:
            key = (row.storage, row.namespace, row.name)
            if row.type == "DELETED":
                self._db.execute("DELETE FROM objects WHERE storage = ? AND namespace = ? AND name = ?", key)
            else:
                self._db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (*key, row.raw))
        self._db.execute("DELETE FROM log WHERE rv <= ?", (version,))
        self.set_meta("compacted", str(version))
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
