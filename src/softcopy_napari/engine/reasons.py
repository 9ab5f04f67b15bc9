"""Why something is as it is, as a code with fields: what engine and front ends tell each other instead of sentences.

The words are in wording.py, and where a front end's differ in its own. Copy workers use this too: nothing heavy here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Any, NamedTuple

_DEEPEST = 8
"""Reasons within reasons, at most, in what another process sends."""
_LARGEST = 1 << 63
_CODE = "code"


class ReasonCode(StrEnum):
    """Everything that the engine has to say of a target; wording.py has the English of each."""

    TEXT = auto()
    """Words that have no code of their own: those of the system or of a library."""
    ALL_OF = auto()

    # What is waited for before there is anything to copy
    SOURCE_MISSING = auto()
    SOURCE_GONE = auto()
    SOURCE_CHANGED = auto()
    SOURCE_NOT_A_FOLDER = auto()
    SOURCE_UNUSABLE = auto()
    SOURCE_NOT_READY = auto()
    SOURCE_UNREADABLE = auto()
    SOURCE_REPLACED = auto()
    SOURCE_DIFFERS = auto()
    SOURCE_NOT_WATCHABLE = auto()
    USER_ENDED_WAITING = auto()
    CHECKING_DESTINATION = auto()
    OTHER_DATASET = auto()
    LOOK_FAILED = auto()

    # What stands in the way
    DESTINATION_FULL = auto()
    DESTINATION_NO_FILES = auto()
    DESTINATION_QUOTA = auto()
    DESTINATION_READ_ONLY = auto()
    DESTINATION_UNREACHABLE = auto()
    NO_ANSWER = auto()
    BAD_METADATA = auto()

    # What is done now
    SCANNING = auto()
    FLUSHING = auto()
    READING_BACK = auto()
    FINDING_CHECKSUMS = auto()
    CHECKING_FILES = auto()
    COMPARED_SO_FAR = auto()
    WRITING_RECEIPT = auto()
    WORKER_STUCK = auto()

    # What a live copy waits for
    NO_ARRAY = auto()
    NODES_TO_COME = auto()
    CHUNKS_TO_COME = auto()
    FILE_IN_USE = auto()
    FILES_IN_USE = auto()
    ALL_THERE = auto()
    ALL_THERE_BUT = auto()
    MARKER_TOO_OLD = auto()
    DONE_AFTER_QUIET = auto()

    # What speaks against a quiet acquisition being over
    RESUMED = auto()
    GREW = auto()
    CAME_LATER = auto()
    REWRITTEN = auto()
    NOT_WHOLE = auto()
    OUTSIDE = auto()
    ONE_ALONG_SLOWEST = auto()
    EMPTY_ARRAY = auto()
    PLACEHOLDERS = auto()
    ONE_WELL = auto()
    UNLISTED = auto()
    UNKNOWN_LAYOUT = auto()

    # Why an acquisition is over
    USER_SAID_OVER = auto()
    MARKER_SAYS_OVER = auto()
    QUIET = auto()
    ALL_THERE_AND_QUIET = auto()

    # How a target ends
    COMPLETE = auto()
    COMPLETE_BY_CHECKSUM = auto()
    COMPLETE_BY_CONTENT = auto()
    STOPPED = auto()
    CHECK_STOPPED = auto()
    INTERNAL_ERROR = auto()
    FILES_FAILED = auto()
    CANNOT_LIST = auto()
    FLUSH_FAILED = auto()

    CHUNKS_LOST = auto()
    NOT_IN_SOURCE = auto()
    UNKNOWN_CHUNKS = auto()
    EDITED_ON_BOTH_SIDES = auto()

    # What a user should know of a copy
    WORKER_SILENT = auto()
    WORKER_DIED = auto()
    WORKERS_CANNOT_START = auto()
    FEW_OPEN_FILES = auto()
    FEW_THREADS = auto()
    ENGINE_SILENT = auto()
    NO_LOW_PRIORITY = auto()
    CHECKSUMS_NOT_KEPT = auto()
    REREAD_FLUSH_FAILED = auto()
    REREAD_FLUSH_UNSURE = auto()
    REREAD_POWER_LOST = auto()
    REREAD_TAKEN_AWAY = auto()
    FORECAST_WARNING = auto()
    EVENTS_LOST = auto()
    FOLDERS_NOT_WATCHED = auto()
    SOME_FOLDERS_NOT_WATCHED = auto()
    WATCHING_BROKE = auto()
    SOURCE_ON_SHARE = auto()
    METADATA_NOT_FOLLOWED = auto()
    METADATA_NOTE = auto()
    COPIED_AS_PLAIN_FILES = auto()
    COMPARED_AS_PLAIN_FILES = auto()
    LINK_OUT = auto()
    LINK_OUT_AS_IT_IS = auto()
    MORE_LINKS_OUT = auto()
    MADE_ANEW = auto()
    LEFT_OPEN = auto()
    LEFT_LOCKED = auto()
    TEMPORARIES_LEFT = auto()
    DAMAGED_FILE = auto()
    DAMAGED_FILES = auto()
    NO_TIMES = auto()
    GROUP_CANNOT_READ = auto()
    STORED_LATER = auto()
    OLD_FILES_REMOVED = auto()
    OLD_FILES_LEFT = auto()
    EDITED_AT_DESTINATION = auto()
    NEWER_AT_DESTINATION = auto()
    NODES_NEVER_CAME = auto()
    DESTINATION_ONLY = auto()
    MADE_BY_SYSTEM = auto()
    RENAMED = auto()
    FOLDER_UNLISTABLE = auto()
    RECEIPT_FAILED = auto()
    RECEIPT_BROKE = auto()

    # What is going to happen, and how copying gives way
    KEEPS_UP = auto()
    COMPLETE_LATER = auto()
    FALLS_BEHIND = auto()
    NOT_ENOUGH_SPACE = auto()
    NOT_ENOUGH_SPACE_FOR_ALL = auto()
    SOURCE_DISK_FILLS = auto()
    SOURCE_DISK_TOO_SMALL = auto()
    LIMIT_AS_SET = auto()
    IN_PAUSES = auto()
    IN_PAUSES_OF_OTHERS = auto()
    MORE_THAN_PAUSES = auto()
    GIVES_WAY = auto()
    COMES_BACK = auto()
    STANDS_STILL = auto()
    DISK_NEARLY_FULL = auto()

    # Why an order is not carried out
    NOT_AN_ORDER = auto()
    NO_SUCH_TARGET = auto()
    HAS_ENDED = auto()
    ONLY_COMPARED = auto()

    # What a check finds
    CHECK_SOURCE_GONE = auto()
    EQUAL_BY_TIME = auto()
    EQUAL_BY_CONTENT = auto()
    NOTHING_COPIED = auto()
    MISSING = auto()
    DIFFERENT = auto()
    TIMES_DIFFER = auto()
    ONLY_THERE = auto()
    DAMAGED = auto()

    # What is wrong with metadata: each goes on behind the name of a file
    METADATA_UNUSABLE = auto()
    NO_METADATA = auto()
    IN_FILE = auto()
    READ_FAILED = auto()
    FILE_EMPTY = auto()
    JSON_INVALID = auto()
    JSON_TOO_DEEP = auto()
    JSON_LEFTOVER = auto()
    NOT_AN_OBJECT = auto()
    NO_ZARR_FORMAT = auto()
    OTHER_ZARR_FORMAT = auto()
    NO_NODE_TYPE = auto()
    METADATA_TOO_LARGE = auto()
    TOO_MANY_CHUNKS = auto()
    STORAGE_TRANSFORMERS = auto()
    NO_KEY = auto()
    NO_NAME = auto()
    NO_SUFFIX = auto()
    BAD_VALUE = auto()
    VALUE_TOO_LONG = auto()
    NO_LENGTH = auto()
    NO_LENGTHS = auto()
    LENGTH_ZERO = auto()
    LENGTH_TOO_LARGE = auto()
    TOO_MANY_LENGTHS = auto()
    TOO_MANY_DIMENSIONS = auto()
    OTHER_RANK = auto()
    CHUNKS_END_EARLY = auto()
    UNKNOWN_GRID = auto()
    UNKNOWN_KEYS = auto()
    KEYS_LEAD_ELSEWHERE = auto()
    KEYS_OF_OTHERS = auto()
    BAD_SEPARATOR = auto()
    NO_CHUNKS_IN_SHARDS = auto()
    NO_LEDGER = auto()

    # How a dataset differs from the one that it is compared with
    FORMAT_DIFFERS = auto()
    RANK_DIFFERS = auto()
    SHAPE_DIFFERS = auto()
    TYPE_DIFFERS = auto()
    NOW_SHARDED = auto()
    NOT_SHARDED = auto()
    CHUNKS_DIFFER = auto()
    SHARDS_DIFFER = auto()
    INNER_CHUNKS_DIFFER = auto()
    KEYS_DIFFER = auto()
    NO_GROUP = auto()
    ARRAY_DIFFERS = auto()
    ARRAY_MISSING = auto()
    OTHER_CHUNKS = auto()
    NO_KNOWN_CHUNKS = auto()
    COPY_OF = auto()
    ANOTHER_SOURCE = auto()
    WRITTEN_ANEW = auto()

    # What is the matter with a single file: each goes on behind its path
    ALWAYS_OTHER_SIZE = auto()
    ALWAYS_MISSING = auto()
    ONE_NAME = auto()
    OPEN_TO_THE_END = auto()
    NOT_FLUSHED = auto()
    OFTEN_DIFFERENT = auto()
    KILLS_WORKERS = auto()
    STOPS_WORKERS = auto()
    FOLDER_NOT_LISTED = auto()
    FOLDER_NOT_FOUND = auto()
    WRITE_FAILED = auto()
    FOLDER_IN_PLACE = auto()
    FILE_IN_PLACE = auto()
    TOO_LARGE = auto()
    IS_FOLDER = auto()
    IS_FIFO = auto()
    IS_SOCKET = auto()
    IS_DEVICE = auto()
    IS_OF_UNKNOWN_KIND = auto()
    AT_SOURCE = auto()
    READ_BACK_FAILED = auto()
    CAME_BACK_DIFFERENT = auto()

    # Why a chunk file cannot be whole: each goes on behind its path
    ENDS_EARLY = auto()
    ENDS_IN_ZEROS = auto()
    BEGINS_WITH_ZEROS = auto()
    BEGINS_OTHERWISE = auto()
    CANNOT_INFLATE = auto()
    NO_ZSTD = auto()
    CHECKSUM_DIFFERS = auto()
    INDEX_TOO_SHORT = auto()
    INDEX_CHECKSUM = auto()
    INDEX_NOT_WHOLE = auto()
    INDEX_BEYOND_END = auto()
    INDEX_INTO_ITSELF = auto()
    CHUNKS_OVERLAP = auto()

    # What a user wrote in place of a path: each goes on behind "the source"
    PATH_EMPTY = auto()
    PATH_TOO_LONG = auto()
    PATH_WITH_CONTROL = auto()
    PATH_WITH_NO_CHARACTER = auto()
    PATH_WITH_LONG_NAME = auto()
    PATH_WITH_ODD_QUOTE = auto()
    PATH_WITH_COMMAND = auto()
    PATH_WITH_UNSET_VARIABLE = auto()
    PATH_WITH_UNSET_PERCENT = auto()
    PATH_OF_WINDOWS = auto()
    PATH_OF_UNKNOWN_USER = auto()
    PATH_FROM_NOWHERE = auto()
    PATH_IN_FILE_URL = auto()
    PATH_IN_S3 = auto()
    PATH_IN_GOOGLE_CLOUD = auto()
    PATH_IN_AZURE = auto()
    PATH_IN_GLOBUS = auto()
    PATH_ON_WEB = auto()
    PATH_ON_SHARE = auto()
    PATH_ON_COMPUTER = auto()
    PATH_IS_ADDRESS = auto()


class Reason(NamedTuple):
    """A code and what there is to say with it."""

    code: str
    """A `ReasonCode`, or one of another version's."""
    fields: tuple[tuple[str, Any], ...] = ()
    """Paths, counts, bytes, seconds, Unix times by name, as str, int or float; or a `Reason`, or a tuple of them."""


def make_reason(code: ReasonCode, **fields: str | int | float | Reason | tuple[Reason, ...] | None) -> Reason:
    """Return a reason; fields that are None or empty texts are left out."""
    return Reason(code, tuple((name, value) for name, value in fields.items() if value is not None and value != ""))


def quote_text(text: str) -> Reason:
    """Return words that have no code of their own as a reason."""
    return Reason(ReasonCode.TEXT, ((ReasonCode.TEXT.value, text),))


def encode_reason(reason: Reason) -> dict[str, Any]:
    """Return a reason as plain JSON: its code and its fields beside each other."""
    return {_CODE: str(reason.code), **{name: _encode(value) for name, value in reason.fields}}


def _encode(value: Any) -> Any:
    if isinstance(value, Reason):
        return encode_reason(value)
    return [encode_reason(one) for one in value] if isinstance(value, tuple) else value


def decode_reason(sent: Any, depth: int = 0) -> Reason:
    """Return a reason that was sent as plain JSON.

    Raises
    ------
    ValueError
        It is none. A code that this version does not know is no mistake.
    """
    if not isinstance(sent, Mapping) or not isinstance(sent.get(_CODE), str) or depth > _DEEPEST:
        raise ValueError("is no reason")
    fields = {name: _decode(value, depth) for name, value in sent.items() if name != _CODE}
    if not all(isinstance(name, str) and name.isidentifier() for name in fields):
        raise ValueError("is no reason")
    return Reason(sent[_CODE], tuple(fields.items()))


def _decode(value: Any, depth: int) -> Any:
    match value:
        case list():
            return tuple(decode_reason(one, depth + 1) for one in value)
        case Mapping():
            return decode_reason(value, depth + 1)
        case str():
            return value
        case int() if abs(value) < _LARGEST:
            return value
        case float() if math.isfinite(value):
            return value
    raise ValueError("is no field of a reason")
