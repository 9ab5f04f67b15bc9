"""For mkdocs: CHANGELOG.md and CONTRIBUTING.md, which stay at the root for code hosts, become pages of the site."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "dev/contributing.md"}
"""Name at the root, and path in the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, with their links as seen from their new place."""
    root = Path(config.config_file_path).parent
    for name, uri in ROOT_PAGES.items():
        up = relpath(".", str(Path(uri).parent))
        text = re.sub(r"\]\(docs/", f"]({up}/", (root / name).read_text(encoding="utf-8"))
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links to files of the root at the pages that they became."""
    folder = str(Path(page.file.src_uri).parent)
    for name, uri in ROOT_PAGES.items():
        there = relpath(uri, folder)
        markdown = re.sub(rf"\]\((\.\./)+{re.escape(name)}", f"]({there}", markdown)
    return markdown
