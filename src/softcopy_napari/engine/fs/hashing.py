"""XXH3-128 digests as they are stored: their size, and what stands in place of one."""

from __future__ import annotations

DIGEST_SIZE = 16
"""Bytes of an XXH3-128 digest."""
LINK_DIGEST = b"\xff" * DIGEST_SIZE
"""Stands in place of the digest of a link."""
NO_DIGEST = bytes(16)
"""Stands for a digest that is not known."""


def split_digests(digests: bytes) -> list[bytes]:
    """Return digests one by one."""
    return [digests[at : at + DIGEST_SIZE] for at in range(0, len(digests), DIGEST_SIZE)]
