"""Names that a destination takes for one: `IMG` and `img`, or é encoded in two ways."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator

from softcopy_napari.engine.fs.capabilities import Capabilities
from softcopy_napari.engine.fs.relative_paths import join
from softcopy_napari.engine.fs.root_folder import RootFolder

_MOST = 1 << 15
"""Most names remembered at a time; a folder with more of them is listed several times."""
_FEW = 64
"""Most names that are looked up one by one at the destination."""


class NameClashes:
    """Finds names in one folder of the source that the destination takes for the same name."""

    def __init__(self, can: Capabilities) -> None:
        self._fold_case, self._fold_forms = not can.case_sensitive, not can.form_sensitive
        self._wanted = self._fold_case or self._fold_forms
        self._seen: dict[str, str] = {}
        self._left_out = 0

    def add_name(self, name: str) -> str:
        """Add a name; return the one that it clashes with, empty if there is none so far."""
        if not self._wanted or (key := self._key(name)) is None:
            return ""
        if key not in self._seen and len(self._seen) >= _MOST:
            self._left_out += 1
            return ""
        return self._clash(key, name)

    def find_in_large_folder(self, names: Callable[[], Iterable[str]]) -> Iterator[tuple[str, str]]:
        """Find the clashes in a folder with too many names to remember, by listing it again."""
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
        """Return what clashing names have in common; None for a name that clashes with none, such as a number."""
        key = name.lower() if self._fold_case else name
        if name.isascii():
            return None if not self._fold_case or key == name.upper() else key
        return compose_accents(key) if self._fold_forms else key


def is_other_spelling(destination: RootFolder, folder: str, name: str, inode: int, missing: Collection[str]) -> bool:
    """Whether an entry that only the destination seems to have is one of the source's, spelled in another way.

    Parameters
    ----------
    destination : RootFolder
        The destination, open.
    folder, name : str
        The folder and the entry, as the destination lists it.
    inode : int
        The entry's inode, as listed.
    missing : collection of str
        Names of the source in that folder that the destination does not list.
    """
    key = compose_accents(name).casefold()
    few = len(missing) <= _FEW
    for other in missing:
        alike = compose_accents(other).casefold() == key
        if alike or few:
            with contextlib.suppress(OSError):
                # The destination finds it by the source's name, but lists it under another.
                there = destination.stat(join(folder, other))
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
    """Return a name with each accented letter as one character (Unicode NFC)."""
    if name.isascii():
        return name
    import unicodedata  # a large module that is rarely needed

    return unicodedata.normalize("NFC", name)


def unicode_forms(name: str) -> list[str]:
    """Return the composed and decomposed form of a name; none for ASCII, which has one form only."""
    if name.isascii():
        return []
    import unicodedata

    return [unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)]
