"""Comparing source and destination, file by file and by tools that know nothing of softcopy; and spoiling them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_TEMPORARIES = (".__lock", ".partial", ".tmp")


def contents(root: Path) -> dict[str, str]:
    """Every file, link and folder below a folder, with the hash of its content; writers' temporaries left out.

    What vanishes meanwhile, as an unfinished copy does, is left out as well.
    """
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                found[key] = f"link to {os.readlink(path)}"
            elif os.path.isdir(path):
                found[key] = "folder"
            elif not name.endswith(_TEMPORARIES) or name.startswith(".softcopy"):
                with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                    found[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def assert_same(source: Path, destination: Path) -> None:
    """Fail unless both sides are equal, byte by byte; `diff` and, where it is installed, rclone must agree."""
    here, there = contents(source), contents(destination)
    unlike = sorted(path for path in here.keys() | there.keys() if here.get(path) != there.get(path))
    assert not unlike, "\n".join(f"{p}: {here.get(p, 'missing')} / {there.get(p, 'missing')}" for p in unlike[:20])
    diff_r(source, destination)
    rclone_check(source, destination)


def diff_r(source: Path, destination: Path) -> None:
    """Fail unless `diff` finds no difference; where there is no `diff`, say nothing."""
    if shutil.which("diff"):
        excludes = [f"--exclude=*{ending}" for ending in _TEMPORARIES]
        _ask(["diff", "-r", "--no-dereference", *excludes, str(source), str(destination)])


def rclone_check(source: Path, destination: Path) -> None:
    """Fail unless `rclone` reads the same from both sides; where there is no `rclone`, say nothing."""
    if shutil.which("rclone"):
        excludes = [f"--exclude=*{ending}" for ending in _TEMPORARIES]
        _ask(["rclone", "check", "--download", "--skip-links", *excludes, str(source), str(destination)])


def _ask(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, size and time of every regular file: what changes when a file is written again."""
    return {
        str(path.relative_to(root)): (info.st_ino, info.st_size, info.st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and (info := path.stat())
    }


def chunk(folder: Path, number: int) -> Path:
    """Return one of the chunk files of an array, counted in the order of their names."""
    return sorted(path for path in (folder / "c").rglob("*") if path.is_file())[number]


def flip(file: Path) -> None:
    """Change a file's content, and neither its size nor its times."""
    found = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
