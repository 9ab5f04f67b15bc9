"""What is raised for mistakes that users make."""

from __future__ import annotations


class TargetsError(Exception):
    """A mistake in targets or their file, in one line for whoever made it."""
