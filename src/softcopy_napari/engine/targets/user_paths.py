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

from softcopy_napari.engine.formatting import quote

_MAX_LENGTH = 4096
_LONGEST_NAME = 255
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_QUOTES = {
    **dict.fromkeys('"\u201c\u201d\u201e\u201f', '"\u201c\u201d\u201f'),
    **dict.fromkeys("'`\u00b4\u2018\u2019\u201a\u201b", "'`\u00b4\u2018\u2019\u201b"),
    "\u00ab": "\u00bb",
    "\u00bb": "\u00ab",
    "\u2039": "\u203a",
    "\u203a": "\u2039",
}
"""Quotation marks that may begin a text, each with those that may end it."""
_CLOSING = "\u201d\u201c\u00bb\u203a"
"""Marks with which a name does not end by itself, as it may with an apostrophe."""
_AROUND = " \t\r\n\v\f\u00a0\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Blanks, and marks that nobody sees: Windows puts U+202A before a path that is copied from a file's properties."""

_CHAINED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://|:)")
_REMOTE = re.compile(r"(?:[^\s/\\:@]+@)?(?:[A-Za-z][\w.-]+|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.%]+\]):(?!\d)")
"""As scp, rsync and rclone take it. What goes on with a digit is a name with a time in it: `run_12:30.zarr`."""
_WITH_USER = re.compile(r"[^\s/\\:@]+@[^\s/\\:@]+:")
_STORES = {
    **dict.fromkeys(("s3", "s3a", "s3n", "r2", "minio"), "an S3 bucket"),
    **dict.fromkeys(("gs", "gcs"), "a Google Cloud bucket"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl", "wasb", "wasbs"), "an Azure container"),
    **dict.fromkeys(
        ("http", "https", "ftp", "ftps", "dav", "davs", "webdav", "webdavs", "doi", "ipfs"), "a web address"
    ),
    "globus": "a Globus collection",
}
_MOUNTABLE = {
    **dict.fromkeys(("smb", "smb2", "cifs", "afp", "nfs", "nfs4"), "a network share"),
    **dict.fromkeys(("sftp", "ssh", "scp", "rsync", "fish"), "a folder on another computer"),
}
_MOUNT = "; mount it, and write the folder where it is mounted"
_WHERE = "softcopy copies between folders on this computer and on mounted shares"

_VARIABLE = re.compile(
    r"\$\$|\$env:(\w+)|\$\{([^{}]*)\}|\$([A-Za-z_]\w*)|\$\(|%([^%/\\\s]+)%", re.ASCII | re.IGNORECASE
)


def written_path(text: str, folder: Path) -> Path:
    """Make an absolute path of what somebody wrote.

    Quotation marks and blanks around it are taken off, a `file:` URL becomes a path, variables are expanded, and the
    rest is as in `absolute_path`. Links and `..` stay: they are for the system.

    Raises
    ------
    ValueError
        With words that go on after "the source".
    """
    bare = _strip(text)
    if _is_file_url(bare):
        return absolute_path(_path_of_url(bare), folder)
    if problem := path_problem(bare) or address_problem(bare) or _odd_quotes(bare):
        raise ValueError(problem)
    return absolute_path(_expand_variables(bare, os.environ), folder)


def absolute_path(text: str, folder: Path) -> Path:
    """Expand `~`, and put the folder before a relative path; all else is part of the path.

    Raises
    ------
    ValueError
        With words that go on after "the source".
    """
    if problem := path_problem(text) or address_problem(text):
        raise ValueError(problem)
    text = os.path.expanduser(text)
    if text.startswith("~"):
        raise ValueError(f"begins with the home folder of a user who is not known here: {quote(text)}")
    try:
        absolute = (folder / text).absolute()
    except OSError:
        raise ValueError(f"starts from the current folder, which is gone: {quote(text)}") from None
    if problem := path_problem(str(absolute)):
        raise ValueError(problem)
    return absolute


def spell_path(path: str | Path) -> str:
    """Write an absolute path so that `written_path` reads it as what it is."""
    text = str(path)
    if text[-1:] in _AROUND:
        text += "/"
    return re.sub(r"\$(?=[A-Za-z_{($])", "$$", text)


def unwrap_path(text: str) -> str:
    """Take off what copying and pasting put around a path; a `file:` URL of this computer becomes a path."""
    text = _strip(text)
    return _path_of_url(text) if _is_file_url(text) else text


def address_problem(text: str) -> str:
    """Say that a path is an address, not a folder that the system knows; empty where it is none.

    The only place that tells the two apart. Words that go on after "the source".
    """
    text = unwrap_path(text)
    if os.name == "nt" and re.match(r"[A-Za-z]:", text):
        return ""
    if found := _CHAINED.match(text):
        scheme = found[1].lower()
    elif text.partition(":")[0].lower() in (*_STORES, *_MOUNTABLE, "file"):
        scheme = text.partition(":")[0].lower()
    elif _REMOTE.match(text) or _WITH_USER.match(text):
        scheme = "ssh"
    elif os.name != "nt" and re.match(r"//[^/]", text):
        scheme = "smb"
    else:
        return ""
    if scheme == "file":
        return f"is a file URL of another computer or no whole path, {quote(text)}: write it as in file:///data/a.zarr"
    what = _STORES.get(scheme) or _MOUNTABLE.get(scheme) or "an address"
    mount = _MOUNT if scheme in _MOUNTABLE else ""
    local = "" if text.startswith("/") else "; a folder of that name here is ./" + text.partition(":")[0] + ":"
    return f"looks like {what}, {quote(text)}: {_WHERE}{mount}{local}"


def path_problem(text: str) -> str:
    """Say why a text can be no path; empty where it can."""
    if not text.strip():
        return "is empty; write a path"
    if len(text) > _MAX_LENGTH:
        return f"is too long for a path: {quote(text)}"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in text):
        return f"has a control character in it: {quote(text)}"
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return f"has a character that no file name can have: {quote(text)}"
    names = re.split(r"[/\\]", text) if os.name == "nt" else map(os.fsencode, text.split("/"))
    if any(len(name) > _LONGEST_NAME for name in names):
        return f"has a name of more than {_LONGEST_NAME} bytes in it, which no disk takes: {quote(text)}"
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        return f"is a Windows path, {quote(text)}; write it as this computer does"
    return ""


def _strip(text: str) -> str:
    """Take blanks and pairs of quotation marks off both ends."""
    text = text.strip(_AROUND)
    while len(text) > 1 and text[-1] in _QUOTES.get(text[0], ""):
        text = text[1:-1].strip(_AROUND)
    return text


def _odd_quotes(text: str) -> str:
    """Say that a quotation mark has lost its partner: of a path with blanks, shells may hand over a part only."""
    openers = [one for one, ends in _QUOTES.items() if text[-1] in ends]
    lost = text[-1] in _CLOSING and not any(one in text[:-1] for one in openers)
    if text[0] in _QUOTES or lost or (os.name == "nt" and '"' in text):
        return f"has a quotation mark without its partner: {quote(text)}; put plain quotes around the whole path"
    return ""


def _is_file_url(text: str) -> bool:
    return text[:5].lower() == "file:"


def _path_of_url(url: str) -> str:
    """The path that a `file:` URL means; the URL itself where it is of another computer, or no whole path."""
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
    ValueError
        One is not set, or is empty; or a command is to be run.
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found[0] == "$(":
            raise ValueError(f"has a command in it, {quote(text)}: write what it gives")
        in_percents = found[4] is not None
        if in_percents and os.name != "nt" and not _is_component(found):
            return found[0]  # 10%FBS_5%CO2
        name = next(one for one in found.groups() if one is not None)
        if environment.get(name):
            return environment[name]
        if in_percents and not _is_component(found):
            return found[0]  # as Windows does it
        hint = "" if in_percents else "; where a name has a $ in it, write $$"
        raise ValueError(f"has the variable {found[0]} in it, which is not set: {quote(text)}{hint}")

    return _VARIABLE.sub(value, text)


def _is_component(found: re.Match[str]) -> bool:
    """Whether a match is a whole part of its path."""
    around = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    return all(one in ("", "/", "\\") for one in around)
