"""Builds the C library of the copy workers into the package, where there is a compiler, and the README of an index.

A wheel with the library fits this system (`py3-none-PLATFORM`). One without it fits every system (`py3-none-any`) and
copies small files more slowly: it is built on Windows, where there is no compiler, and where SOFTCOPY_PURE=1 is set.
That variable leaves a library in the checkout alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ENGINE = "src/softcopy_napari/engine"
LIBRARY = f"{ENGINE}/worker/libsoftcopy.so"


class NativeLibrary(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the library to a wheel, and the platform to its name."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds a wheel or an editable install."""
        if os.environ.get("SOFTCOPY_PURE") != "1" and self._compile(Path(self.root)):
            build_data["artifacts"].append(LIBRARY)
            build_data["pure_python"] = False
            # No Python is called from C: one library is for all of them.
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().translate(str.maketrans('-.', '__'))}"

    def _compile(self, root: Path) -> bool:
        """Make the library; if that fails there is none, not even one of an older version."""
        library, new = root / LIBRARY, root / f"{LIBRARY}.new"
        if not self._run_compiler(root, new):
            library.unlink(missing_ok=True)
            return False
        new.replace(library)  # in one step: somebody may be using the checkout
        return True

    def _run_compiler(self, root: Path, library: Path) -> bool:
        compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or ""]
        if sys.platform == "win32" or not compiler[0]:
            return False
        sources = sorted(map(str, (root / ENGINE).glob("*/*.c")))
        flags = ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", str(library), *sources]
        if sys.platform == "darwin":
            flags = [*_architectures(), *flags]
        try:
            done = subprocess.run([*compiler, *flags], cwd=root, capture_output=True, text=True)
        except OSError as error:
            self.app.display_warning(f"{compiler[0]} cannot be run, so copying will be slower: {error.strerror}")
            return False
        if done.returncode:
            self.app.display_warning(
                f"{compiler[0]} cannot build the C library, so copying will be slower:\n{done.stderr}"
            )
        return done.returncode == 0


class IndexReadme(MetadataHookInterface):
    """Puts the README into the metadata as an index can show it: it has no other file beside it."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling with the table `project` of pyproject.toml."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        source = metadata.get("urls", {}).get("Source", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": index_readme(text, source)}


def index_readme(text: str, source: str) -> str:
    """Make absolute what a README links to in its own repository.

    Parameters
    ----------
    text : str
        Markdown with links relative to the repository.
    source : str
        Address of the repository; where it has none, pictures are left out and links become plain text.
    """

    def absolute(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if not source:
            return "" if picture else words
        return f"{picture}[{words}]({source.rstrip('/')}/{'raw' if picture else 'blob'}/main/{target})"

    return re.sub(r"(!?)\[([^\[\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)", absolute, text)


def _architectures() -> list[str]:
    """Return the flags for the processors that the wheel's tag promises on macOS."""
    both = "-arch arm64 -arch x86_64" if sysconfig.get_platform().endswith("universal2") else ""
    return shlex.split(os.environ.get("ARCHFLAGS", both))
