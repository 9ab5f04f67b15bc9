"""What is raised for mistakes that users make."""

from __future__ import annotations


class TargetsError(Exception):
    """Mistakes in targets or their file, for whoever made them; each is one line."""
