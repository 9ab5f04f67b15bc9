"""Paths as people type and paste them: made to absolute paths, or refused in words. Pure: no disk is asked.

Whatever is written must never become a folder of that name by mistake: an address of a store or of another computer,
a variable that is not set, and quotation marks that came along would all be filled on the system's own disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

from softcopy_napari.engine.errors import ReasonError
from softcopy_napari.engine.reasons import Reason, ReasonCode, make_reason
from softcopy_napari.engine.targets.store_url import (
    Destination,
    StoreUrl,
    StoreUrlError,
    is_store_url,
    written_store_url,
)

_MAX_LENGTH = 4096
_MAX_NAME = 255
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\u2028\u2029]")
_QUOTES = ('"\u201c\u201d\u201e\u201f', "'`\u00b4\u2018\u2019\u201a\u201b", "\u00ab\u00bb", "\u2039\u203a")
"""Quotation marks of one kind each: a text that begins and ends with two of a kind is in quotes."""
_NEVER_LAST = "\u201c\u201d\u00bb\u203a"
"""Quotation marks with which no name ends by itself, as it may with an apostrophe."""
_AROUND = " \t\r\n\v\f\u00a0\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Blanks, and marks that nobody sees: Windows puts U+202A before a path that is copied from a file's properties."""

_SCHEMES = {
    **dict.fromkeys(("s3", "s3a", "s3n", "r2", "minio"), ReasonCode.PATH_IN_S3),
    **dict.fromkeys(("gs", "gcs"), ReasonCode.PATH_IN_GOOGLE_CLOUD),
    **dict.fromkeys(("az", "abfs", "abfss", "adl", "wasb", "wasbs"), ReasonCode.PATH_IN_AZURE),
    **dict.fromkeys(("http", "https", "ftp", "ftps", "dav", "davs", "webdav", "webdavs"), ReasonCode.PATH_ON_WEB),
    **dict.fromkeys(("doi", "ipfs"), ReasonCode.PATH_ON_WEB),
    **dict.fromkeys(("smb", "smb2", "cifs", "afp", "nfs", "nfs4"), ReasonCode.PATH_ON_SHARE),
    **dict.fromkeys(("sftp", "ssh", "scp", "rsync", "fish"), ReasonCode.PATH_ON_COMPUTER),
    "globus": ReasonCode.PATH_IN_GLOBUS,
    "file": ReasonCode.PATH_IN_FILE_URL,
}
_STORES = {
    ReasonCode.PATH_IN_S3: "s3://bucket/name.zarr",
    ReasonCode.PATH_IN_GOOGLE_CLOUD: "gs://bucket/name.zarr",
    ReasonCode.PATH_IN_AZURE: "az://container/name.zarr",
}
"""How to spell what object stores are called elsewhere."""
_CHAINED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://|:)")
_REMOTE = re.compile(
    r"(?:[^\s/\\:@]+@)?(?:[A-Za-z][\w.-]+|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.%]+\]):(?!\d)|[^\s/\\:@]+@[^\s/\\:@]+:"
)
"""As scp, rsync and rclone take it. What goes on with a digit is a name with a time in it: `run_12:30.zarr`."""
_VARIABLE = re.compile(
    r"""\$(?P<dollar>\$)                                # $$
      | \$(?P<command>\()                               # $(date)
      | \$env:(?P<powershell>\w+)                       # $env:HOME
      | \$\{(?P<braces>[^{}]*)\}                        # ${HOME}
      | \$(?P<plain>[A-Za-z_]\w*)                       # $HOME
      | (?P<whole>(?<![^/\\])%[^%/\\\s]+%(?![^/\\]))    # %HOME%, a whole part of a path
      | %(?P<part>[^%/\\\s]+)%                          # 10%FBS_5%CO2
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


def written_path(text: str, folder: Path) -> Path:
    """Make an absolute path of what somebody wrote.

    Quotation marks and blanks around it are taken off, a `file:` URL becomes a path, variables are expanded, and the
    rest is as in `absolute_path`. Links and `..` stay: they are for the system.

    Raises
    ------
    ReasonError
        It is no path.
    """
    bare = _strip(text)
    if not _is_file_url(bare):
        _refuse_unusable(bare)
        if _has_odd_quote(bare):
            raise ReasonError(ReasonCode.PATH_WITH_ODD_QUOTE, path=bare)
        return absolute_path(_expand_variables(bare, os.environ), folder)
    return absolute_path(_path_of_url(bare), folder)


def written_destination(text: str, folder: Path) -> Destination:
    """Make a destination of what somebody wrote: an absolute path, as in `written_path`, or a place in a store.

    Raises
    ------
    ReasonError
        It is neither.
    """
    bare = _strip(text)
    if is_store_url(bare):
        return _read_store_url(bare)
    if (address := find_address(bare, is_destination=True)) is not None:
        raise ReasonError(ReasonCode(address.code), **dict(address.fields))
    return written_path(text, folder)


def absolute_path(text: str, folder: Path) -> Path:
    """Expand `~`, and put the folder before a relative path; all else is part of the path.

    Raises
    ------
    ReasonError
        It is no path.
    """
    _refuse_unusable(text)
    text = os.path.expanduser(text)
    if text.startswith("~"):
        raise ReasonError(ReasonCode.PATH_OF_UNKNOWN_USER, path=text)
    try:
        absolute = (folder / text).absolute()
    except OSError:
        raise ReasonError(ReasonCode.PATH_FROM_NOWHERE, path=text) from None
    check_path(str(absolute))
    return absolute


def spell_path(path: str | Destination) -> str:
    """Write an absolute path so that `written_path` reads it as what it is."""
    text = str(path)
    if text[-1:] in _AROUND:
        text += "/"
    return re.sub(r"\$(?=[A-Za-z_{($])", "$$", text)


def unwrap_path(text: str) -> str:
    """Take off what copying and pasting put around a path; a `file:` URL of this computer becomes a path."""
    text = _strip(text)
    return _path_of_url(text) if _is_file_url(text) else text


def check_path(text: str) -> None:
    """Raise a `ReasonError` for a text that can be no path."""
    if not text.strip():
        raise ReasonError(ReasonCode.PATH_EMPTY)
    if len(text) > _MAX_LENGTH:
        raise ReasonError(ReasonCode.PATH_TOO_LONG, path=text)
    if _CONTROL.search(text):
        raise ReasonError(ReasonCode.PATH_WITH_CONTROL, path=text)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ReasonError(ReasonCode.PATH_WITH_NO_CHARACTER, path=text) from None
    names = re.split(r"[/\\]", text) if os.name == "nt" else map(os.fsencode, text.split("/"))
    if any(len(name) > _MAX_NAME for name in names):
        raise ReasonError(ReasonCode.PATH_WITH_LONG_NAME, most=_MAX_NAME, path=text)
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        raise ReasonError(ReasonCode.PATH_OF_WINDOWS, path=text)


def find_address(text: str, is_destination: bool = False) -> Reason | None:
    """Return what kind of address a text is, rather than a folder that the system knows; None where it is a path.

    The only place that tells the two apart. For a destination, a place in an object store is as good as a path.
    """
    text = unwrap_path(text)
    beginning = text.partition(":")[0]
    if is_destination and is_store_url(text):
        try:
            _read_store_url(text)
        except ReasonError as error:
            return error.reason
        return None
    if os.name == "nt" and re.match(r"[A-Za-z]:", text):
        return None
    if (found := _CHAINED.match(text)) or beginning.lower() in _SCHEMES:
        code = _SCHEMES.get((found[1] if found else beginning).lower(), ReasonCode.PATH_IS_ADDRESS)
    elif _REMOTE.match(text):
        code = ReasonCode.PATH_ON_COMPUTER
    elif os.name != "nt" and re.match(r"//[^/]", text):
        code = ReasonCode.PATH_ON_SHARE
    else:
        return None
    if is_destination and code in _STORES:
        return make_reason(ReasonCode.STORE_SCHEME_OTHER, text=text, example=_STORES[code])
    return make_reason(code, path=text, folder="" if text.startswith("/") else f"./{beginning}:")


def _refuse_unusable(text: str) -> None:
    check_path(text)
    if (address := find_address(text)) is not None:
        raise ReasonError(ReasonCode(address.code), **dict(address.fields))


def _read_store_url(text: str) -> StoreUrl:
    try:
        return written_store_url(_expand_variables(text, os.environ))
    except StoreUrlError as error:
        raise ReasonError(ReasonCode(error.reason.code), **dict(error.reason.fields)) from None


def _strip(text: str) -> str:
    """Take blanks and pairs of quotation marks off both ends."""
    text = text.strip(_AROUND)
    while len(text) > 1 and any(text[0] in kind and text[-1] in kind for kind in _QUOTES):
        text = text[1:-1].strip(_AROUND)
    return text


def _has_odd_quote(text: str) -> bool:
    """Whether a quotation mark has lost its partner: of a path with blanks, shells may hand over a part only."""
    if any(text[0] in kind for kind in _QUOTES) or (os.name == "nt" and '"' in text):
        return True
    kind = next((kind for kind in _QUOTES if text[-1] in kind), "")
    return text[-1] in _NEVER_LAST and not any(mark in text[:-1] for mark in kind)


def _is_file_url(text: str) -> bool:
    return text[:5].lower() == "file:"


def _path_of_url(url: str) -> str:
    """Return the path that a `file:` URL means; the URL itself where it is of another computer, or no whole path."""
    rest = url[len("file:") :]
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", rest[:1], rest[1:])
    if slash != "/" or host.lower() not in ("", "localhost"):
        if not (os.name == "nt" and slash and host):
            return url
        path = f"/{host}/{path}"  # a share
    decoded = os.fsdecode(unquote_to_bytes(path))
    if os.name == "nt" and re.match(r"[A-Za-z][:|]", decoded):
        return decoded[0] + ":" + decoded[2:]
    return "/" + decoded


def _expand_variables(text: str, environment: Mapping[str, str]) -> str:
    """Put in what variables stand for, as a shell of any system spells them; `$$` is a plain `$`.

    Raises
    ------
    ReasonError
        One is not set, or is empty; or a command is to be run.
    """

    def value(found: re.Match[str]) -> str:
        kind = str(found.lastgroup)
        name = found[kind].strip("%")
        if kind == "dollar":
            return "$"
        if kind == "command":
            raise ReasonError(ReasonCode.PATH_WITH_COMMAND, path=text)
        if environment.get(name) and (kind != "part" or os.name == "nt"):
            return environment[name]
        if kind == "part":  # 10%FBS_5%CO2; as Windows does it
            return found[0]
        code = ReasonCode.PATH_WITH_UNSET_PERCENT if kind == "whole" else ReasonCode.PATH_WITH_UNSET_VARIABLE
        raise ReasonError(code, variable=found[0], path=text)

    return _VARIABLE.sub(value, text)
