"""How destinations spell names: `IMG` and `img`, or é written in two ways, may be one name there.

Used by the copy workers while they list a folder: must import nothing heavy.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.root_folder import RootFolder

_MOST = 1 << 15
"""Names remembered at a time; a folder with more of them is listed several times."""
_FEW = 64
"""Names that are looked up one by one, to see whether one of them is what the destination lists."""


class NameClashes:
    """Looks for names of one folder that a destination takes for one.

    Parameters
    ----------
    can : Capabilities
        Of the destination.
    """

    def __init__(self, can: Capabilities) -> None:
        self._fold_case, self._fold_forms = not can.case_sensitive, not can.form_sensitive
        self._wanted = self._fold_case or self._fold_forms
        self._seen: dict[str, str] = {}
        self._left_out = 0

    def add_name(self, name: str) -> str:
        """Take in a name; returns the one that it clashes with, empty if there is none so far."""
        if not self._wanted or (key := self._key(name)) is None:
            return ""
        if key not in self._seen and len(self._seen) >= _MOST:
            self._left_out += 1
            return ""
        return self._clash(key, name)

    def find_in_large_folder(self, names: Callable[[], Iterable[str]]) -> Iterator[tuple[str, str]]:
        """Look once more at the names of a folder that had too many to be remembered.

        Parameters
        ----------
        names : callable
            Lists the folder.

        Yields
        ------
        tuple of str and str
        """
        if not self._left_out:
            return
        rounds = (len(self._seen) + self._left_out) // _MOST * 2 + 1
        for number in range(rounds):
            self._seen.clear()
            for name in names():
                key = self._key(name)
                if key is not None and hash(key) % rounds == number and (other := self._clash(key, name)):
                    yield other, name

    def _clash(self, key: str, name: str) -> str:
        other = self._seen.setdefault(key, name)
        return other if other != name else ""

    def _key(self, name: str) -> str | None:
        """What names that clash have in common; None for one that cannot clash with any, such as a chunk's number."""
        key = name.lower() if self._fold_case else name
        if name.isascii():
            return None if not self._fold_case or key == name.upper() else key
        return compose_accents(key) if self._fold_forms else key


def is_other_spelling(destination: RootFolder, folder: str, name: str, inode: int, missing: Collection[str]) -> bool:
    """Whether a file or folder that only the destination seems to have is one of the source's under another name.

    Parameters
    ----------
    destination : RootFolder
    folder : str
    name : str
        As the destination lists it.
    inode : int
        Of it, as listed.
    missing : collection of str
        Names of the source in that folder that the destination does not list.
    """
    key = compose_accents(name).casefold()
    few = len(missing) <= _FEW
    for other in missing:
        alike = compose_accents(other).casefold() == key
        if alike or few:
            with contextlib.suppress(OSError):
                # The destination finds it by the source's name, but lists it under another one.
                there = destination.stat(f"{folder}/{other}" if folder else other)
                if alike or there.st_ino == inode:
                    return True
    return False


def find_other_spellings(root: str, path: str) -> list[str]:
    """Return other ways to spell a path below a folder, if its file system takes all of them for one."""
    names = path.split("/")
    for level, name in enumerate(names):
        for other in unicode_forms(name):
            if other != name:
                parent = os.path.join(root, *names[:level])
                with contextlib.suppress(OSError):
                    if os.path.lexists(os.path.join(parent, other)) and other not in os.listdir(parent):
                        return [form for form in unicode_forms(path) if form != path]
                return []
    return []


def compose_accents(name: str) -> str:
    """A name with each letter and its accents as one character, where there is one."""
    if name.isascii():
        return name
    import unicodedata  # a large module that few need

    return unicodedata.normalize("NFC", name)


def unicode_forms(name: str) -> list[str]:
    """A name as a source may spell it."""
    if name.isascii():
        return []
    import unicodedata

    return [unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)]
