"""A sandbox's state in a file: everything it knows, as of the last request that was answered.

One SQLite database with a record per object; what a request changed is written in one transaction, synced to disk,
before its answer goes out. A file that is damaged, of a newer version, in use, or not a sandbox's at all is refused as
it is, before anything is written to it.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import attrs
import msgspec
from attrs import frozen

from .state import Collection, State

#: "PyCS": whose file it is, in the place that SQLite has for that.
APPLICATION_ID: Final = 0x50794353
FORMAT: Final = 1
_MAGIC: Final = b"SQLite format 3\x00"
_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE record (collection TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (collection, id));
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_PUT: Final = (
    "INSERT INTO record (collection, id, body) VALUES (?, ?, ?) "
    "ON CONFLICT (collection, id) DO UPDATE SET body = excluded.body"
)


class StateFileRefused(Exception):
    """The file cannot be used; the text is one sentence for the person who named it."""


@frozen
class About:
    """What is kept besides the objects. `starts` counts the runs: ids of a seed must not come again."""

    account: str
    opened: int
    webhook_secret: str
    ahead_s: int
    starts: int


class StateFile:
    """One open file. It belongs to this process until `close`."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises StateFileRefused."""
        self._path = path
        if not path.exists() or path.stat().st_size == 0:
            self._make()
        self._check_owner()
        self._connection = self._connect()
        self._saved: About | None = None

    def about(self) -> About | None:
        """What was kept besides the objects, None in a new file. Raises StateFileRefused."""
        with self._refusing():
            row = self._connection.execute("SELECT value FROM about WHERE name = 'about'").fetchone()
            return None if row is None else msgspec.json.decode(row[0], type=About)

    def load(self, state: State) -> None:
        """Fill an empty state, and have it note its changes from now on. Raises StateFileRefused."""
        collections = _collections(state)
        with self._refusing():
            for name, key, body in self._connection.execute("SELECT collection, id, body FROM record ORDER BY rowid"):
                if name not in collections:
                    raise StateFileRefused(f"{self._path} has {name}, which this version of the sandbox does not know.")
                collection, kind = collections[name]
                record = msgspec.json.decode(body, type=kind)
                if record.id != key:
                    raise StateFileRefused(self._damaged())
                collection.put(record)
        for collection, _ in collections.values():
            collection.note_changes()

    def save(self, state: State, about: About) -> None:
        """Write what changed since the last time, whole or not at all. Raises StateFileRefused where it cannot be."""
        changes = [(name, collection, collection.changed) for name, (collection, _) in _collections(state).items()]
        if about == self._saved and not any(changed for _, _, changed in changes):
            return
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for name, collection, changed in changes:
                    self._write(name, collection, changed)
                self._connection.execute(
                    "INSERT OR REPLACE INTO about VALUES ('about', ?)", (msgspec.json.encode(about),)
                )
        except sqlite3.Error as error:
            raise StateFileRefused(f"{self._path} cannot be written: {error}.") from None
        self._saved = about
        for _, _, changed in changes:
            changed.clear()

    def close(self) -> None:
        """Let others have the file."""
        self._connection.close()

    def _write(self, name: str, collection: Collection[Any], changed: dict[str, None]) -> None:
        for key in changed:
            record = collection.get(key)
            if record is None:
                self._connection.execute("DELETE FROM record WHERE collection = ? AND id = ?", (name, key))
            else:
                self._connection.execute(_PUT, (name, key, msgspec.json.encode(record)))

    def _make(self) -> None:
        """A new file, put in its place whole, so that a half-made one is never found there."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.unlink(missing_ok=True)
            made = sqlite3.connect(draft)
            try:
                made.executescript(_SCHEMA)
            finally:
                made.close()
            draft.chmod(0o600)
            draft.replace(self._path)
        except (OSError, sqlite3.Error) as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StateFileRefused(f"{self._path} cannot be made: {_why(error)}.") from None

    def _check_owner(self) -> None:
        """By its first hundred bytes: a foreign file is not even opened as a database."""
        try:
            with self._path.open("rb") as file:
                head = file.read(100)
        except OSError as error:
            raise StateFileRefused(f"{self._path} cannot be read: {_why(error)}.") from None
        if len(head) < 100 or not head.startswith(_MAGIC) or struct.unpack_from(">I", head, 68)[0] != APPLICATION_ID:
            raise StateFileRefused(f"{self._path} is no state of the sandbox; name another file. It was left as it is.")
        version = struct.unpack_from(">I", head, 60)[0]
        if version != FORMAT:
            raise StateFileRefused(
                f"{self._path} has format {version}; this version of the sandbox reads {FORMAT}. It was left as it is."
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        with _Refusing(self._path, self._damaged(), connection):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise StateFileRefused(self._damaged())
        return connection

    def _damaged(self) -> str:
        return f"{self._path} is damaged; it was left as it is. Delete it to begin anew, or name another file."

    def _refusing(self) -> _Refusing:
        return _Refusing(self._path, self._damaged(), self._connection)


class _Refusing:
    """What SQLite or a decoder says becomes one sentence, and a file that is refused is let go."""

    def __init__(self, path: Path, damaged: str, connection: sqlite3.Connection) -> None:
        self._path = path
        self._damaged = damaged
        self._connection = connection

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        if error is None:
            return
        self._connection.close()
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise StateFileRefused(f"{self._path} is in use by another sandbox.") from None
        if isinstance(error, sqlite3.Error | msgspec.ValidationError | msgspec.DecodeError):
            raise StateFileRefused(self._damaged) from None


def _collections(state: State) -> dict[str, tuple[Collection[Any], type[Any]]]:
    """The state's collections by name, with the type of their records."""
    return {name: (getattr(state, name), kind) for name, kind in _KINDS.items()}


def _kinds() -> dict[str, type[Any]]:
    hints = get_type_hints(State)
    return {
        one.name: get_args(hints[one.name])[0]
        for one in attrs.fields(State)
        if getattr(hints[one.name], "__origin__", None) is Collection
    }


_KINDS: Final = _kinds()


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
