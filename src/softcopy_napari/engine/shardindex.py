"""Stub."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardIndex:
    pass


def check(fd: int, size: int, index: ShardIndex) -> str:
    return ""
