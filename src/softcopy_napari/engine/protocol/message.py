"""The base of every message between engines and front ends, and the types of their fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from softcopy_napari.engine.formatting import printable
from softcopy_napari.engine.reasons import Reason, decode_reason, encode_reason
from softcopy_napari.engine.states import ChunkState

Text = Annotated[str, AfterValidator(printable)]
"""Text for users; names of files are spelled so that they can be shown."""
Why = Annotated[
    Reason,
    PlainValidator(lambda one: one if isinstance(one, Reason) else decode_reason(one)),
    PlainSerializer(encode_reason),
]
"""A reason: its code and fields, never a sentence."""
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
"""A number of things, or a length: never one that arithmetic in 64 bits, or in floats, would fail on."""
Counts = Annotated[tuple[Count, ...], Field(min_length=len(ChunkState), max_length=len(ChunkState))]
"""Chunk files in each `ChunkState`."""
Lengths = Annotated[tuple[Count, ...], Field(max_length=32)]
"""Of the dimensions of an array."""


class Message(BaseModel):
    """Base of every message: immutable, and strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
