"""Text that may be shown: file names can hold line breaks, control codes, and bytes that are no text at all."""

from __future__ import annotations


def printable(text: str) -> str:
    """Spell text so that it stays on one line, and can be encoded, whatever is in it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
