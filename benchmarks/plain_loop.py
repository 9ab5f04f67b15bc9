"""The least a copy in Python can do: open, read, hash, write, set the time, rename, in N processes.

    python benchmarks/plain_loop.py SOURCE DESTINATION [N]

The floor under softcopy in bulk.py. It looks at nothing twice, checks nothing, survives nothing, and knows
its list of folders beforehand.
"""

from __future__ import annotations

import os
import subprocess
import sys

from xxhash import xxh3_128_digest


def copy_folder(source: str, destination: str) -> None:
    """Copy a folder's files, whole ones only."""
    os.makedirs(destination, exist_ok=True)
    temporary = f"{destination}/.{os.getpid()}"
    for entry in os.scandir(source):
        if entry.is_dir():
            continue
        fd = os.open(entry.path, os.O_RDONLY)
        info = os.fstat(fd)
        data = os.read(fd, info.st_size + 1)
        os.close(fd)
        xxh3_128_digest(data)
        out = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(out, data)
        os.utime(out, ns=(info.st_atime_ns, info.st_mtime_ns))
        os.close(out)
        os.rename(temporary, f"{destination}/{entry.name}")


def main() -> None:
    """Share the folders out, or copy one share."""
    source, destination = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    if len(sys.argv) > 4:
        number = int(sys.argv[4])
        folders = sorted(entry.name for entry in os.scandir(source) if entry.is_dir())
        for folder in folders[number::count]:
            copy_folder(f"{source}/{folder}", f"{destination}/{folder}")
        return
    os.makedirs(destination, exist_ok=True)
    copy_folder(source, destination)
    shares = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:3], str(count), str(n)]) for n in range(count)]
    sys.exit(max([share.wait() for share in shares]))


if __name__ == "__main__":
    main()
