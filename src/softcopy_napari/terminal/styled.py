"""Prints lines in colours on a terminal, and plain ones elsewhere.

rich is imported only where the output is a terminal: that takes 40 ms, a tenth of a short run.
"""

from __future__ import annotations

import sys


def print_line(text: str = "", style: str = "", begin: str = "", end: str = "") -> None:
    """Print a line, whose middle has the style."""
    if not sys.stdout.isatty():
        print(begin + text + end)
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False, soft_wrap=True).print(Text(begin).append(text, style=style).append(end))
