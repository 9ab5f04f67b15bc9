"""What is raised for mistakes that users make, and what is said where the system refuses."""

from __future__ import annotations

NO_THREADS = "the system lets this session start no more processes and threads; ulimit -u shows the limit"


class TargetsError(Exception):
    """Mistakes in targets or their file, for whoever made them; each is one line."""
