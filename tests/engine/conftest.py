"""Fixtures of the engine's tests."""

from tests.engine.jobs import jobs  # noqa: F401
