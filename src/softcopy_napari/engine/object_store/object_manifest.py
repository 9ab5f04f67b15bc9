"""What is known of the objects of one destination: what copies put there, and what else was found there.

A store keeps no modification times, so that equality cannot be seen: it is remembered. The manifest is a database in
the state folder, which all copy processes of a target write to. An object is as it was copied while the store tells the
size and the ETag of it that it answered then; else somebody else has put it there.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.object_store.store_connection import ObjectFacts

MODIFIED, DIGEST = "softcopymodified", "softcopyxxh128"
"""Attributes of each object: the source file's modification time, ns, and the content's XXH3-128."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  folder TEXT NOT NULL, name TEXT NOT NULL,
  size INTEGER NOT NULL, etag TEXT NOT NULL,
  modified INTEGER NOT NULL DEFAULT 0, digest BLOB NOT NULL DEFAULT x'', proven INTEGER NOT NULL DEFAULT 0,
  foreign_etag TEXT,
  noted INTEGER NOT NULL, listed INTEGER NOT NULL,
  PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
_WAIT = 60.0
"""Seconds that one process waits for another that writes."""
_TOGETHER = 400
"""Names asked for at a time."""
_FIELDS = "name, size, etag, modified, digest, proven, foreign_etag"


class KnownObject(NamedTuple):
    """What is known of an object."""

    size: int
    """Bytes that copies put there; of another's, those it has."""
    etag: str
    """The ETag that the store answered then; of another's, the one it has."""
    modified: int
    """Modification time of the source's file, ns; 0 if no copy put it there."""
    digest: bytes
    """XXH3-128 of what was put there; empty if no copy did."""
    proven: bool
    """Whether the ETag is the MD5 of what was read at the source: the store has told what it holds."""
    is_foreign: bool
    """Whether something else lies there now."""

    def is_copy_of(self, size: int, modified: int) -> bool:
        """Whether it is the copy of this version of the source's file."""
        return not self.is_foreign and self.modified == modified and self.size == size


class CopiedObject(NamedTuple):
    """An object that was copied, or found to be a copy."""

    path: str
    size: int
    etag: str
    modified: int
    digest: bytes
    proven: bool = False


class ObjectManifest:
    """The objects of one destination, for one process.

    Parameters
    ----------
    path : str or Path
        The database; made if need be.
    """

    def __init__(self, path: str | Path) -> None:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        cursor = self._database.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    def _fact(self, name: str) -> int:
        found = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    # -- what is asked --------------------------------------------------------------------------------

    def find(self, folder: str, names: Sequence[str]) -> dict[str, KnownObject]:
        """Return what is known of some objects of a folder, by name."""
        found: dict[str, KnownObject] = {}
        for at in range(0, len(names), _TOGETHER):
            part = names[at : at + _TOGETHER]
            places = ",".join("?" * len(part))
            rows = self._database.execute(
                f"SELECT {_FIELDS} FROM objects WHERE folder = ? AND name IN ({places})", (folder, *part)
            )
            found |= {row[0]: _known(row) for row in rows}
        return found

    def find_paths(self, paths: Sequence[str]) -> dict[str, KnownObject]:
        """Return what is known of some objects, by path."""
        folders: dict[str, list[str]] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, []).append(name)
        return {
            join(folder, name): known
            for folder, names in folders.items()
            for name, known in self.find(folder, names).items()
        }

    def names_in(self, folder: str) -> Iterator[str]:
        """Yield the names of a folder's objects."""
        last = ""
        while True:  # piecewise: others write meanwhile
            rows = self._database.execute(
                "SELECT name FROM objects WHERE folder = ? AND name > ? ORDER BY name LIMIT 4096", (folder, last)
            ).fetchall()
            yield from (name for (name,) in rows)
            if not rows:
                return
            last = rows[-1][0]

    def folders_in(self, folder: str) -> Iterator[str]:
        """Yield the names of the folders in a folder that hold objects, at any depth."""
        prefix = f"{folder}/" if folder else ""
        seen: set[str] = set()
        after = prefix or "\1"
        while True:
            found = self._database.execute(
                "SELECT folder FROM objects WHERE folder >= ? ORDER BY folder LIMIT 1", (after,)
            ).fetchone()
            if found is None or not found[0].startswith(prefix):
                return
            name, _, deeper = found[0][len(prefix) :].partition("/")
            if name not in seen:
                seen.add(name)
                yield name
            # Behind all that lies in it; others may lie between it and that, as `a-b` between `a` and `a/c`.
            after = f"{prefix}{name}0" if deeper else f"{found[0]}\1"

    def all_copies(self) -> Iterator[CopiedObject]:
        """Yield every object that copies put there and that is still as it was."""
        rows = self._database.execute(
            "SELECT folder, name, size, etag, modified, digest, proven FROM objects "
            "WHERE modified != 0 AND foreign_etag IS NULL"
        )
        for folder, name, size, etag, modified, digest, proven in rows:
            yield CopiedObject(join(folder, name), size, etag, modified, digest, bool(proven))

    @property
    def is_listed(self) -> bool:
        """Whether it is known what others have put there: everything was listed at some time."""
        return self._fact("listed") > 0

    # -- what is noted --------------------------------------------------------------------------------

    def note_copies(self, copies: Iterable[CopiedObject], replace: bool = True) -> None:
        """Note objects that were copied; unless `replace`, only those of which nothing is known."""
        with self._writing() as cursor:
            now = self._fact("listing")
            cursor.executemany(
                f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO objects "
                "(folder, name, size, etag, modified, digest, proven, noted, listed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                [(*_split(one.path), one.size, one.etag, one.modified, one.digest, one.proven, now) for one in copies],
            )

    def note_gone(self, paths: Iterable[str]) -> None:
        """Note objects that were deleted."""
        with self._writing() as cursor:
            cursor.executemany("DELETE FROM objects WHERE folder = ? AND name = ?", map(_split, paths))

    def begin_listing(self) -> int:
        """Begin to note what a listing of everything shows; returns its number."""
        with self._writing() as cursor:
            number = self._fact("listing") + 1
            cursor.execute("INSERT OR REPLACE INTO facts VALUES ('listing', ?)", (number,))
        return number

    def note_listed(self, number: int, page: Sequence[ObjectFacts]) -> None:
        """Note a page of a listing; what was copied since that began is newer than it."""
        with self._writing() as cursor:
            cursor.executemany(
                "INSERT INTO objects (folder, name, size, etag, noted, listed, foreign_etag) "
                "VALUES (:folder, :name, :size, :etag, 0, :number, :etag) "
                "ON CONFLICT (folder, name) DO UPDATE SET listed = :number, "
                "foreign_etag = CASE WHEN noted >= :number OR "
                "(modified != 0 AND size = :size AND (etag = :etag OR '' IN (etag, :etag))) THEN NULL ELSE :etag END",
                [
                    {"folder": folder, "name": name, "size": one.size, "etag": one.etag, "number": number}
                    for one in page
                    for folder, name in [_split(one.key)]
                ],
            )

    def end_listing(self, number: int) -> None:
        """Forget what a listing did not show."""
        with self._writing() as cursor:
            cursor.execute("DELETE FROM objects WHERE listed != ? AND noted < ?", (number, number))
            cursor.execute("INSERT OR REPLACE INTO facts VALUES ('listed', ?)", (number,))


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _known(row: tuple[str, int, str, int, bytes, int, str | None]) -> KnownObject:
    _, size, etag, modified, digest, proven, foreign = row
    return KnownObject(size, etag, modified, digest, bool(proven), foreign is not None)
