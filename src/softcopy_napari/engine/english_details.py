"""The English of what goes on behind the name of a file, an array or a path; english.py has all else."""

from __future__ import annotations

from collections.abc import Mapping

from softcopy_napari.engine.reasons import ReasonCode

Wording = Mapping[str, str | tuple[str, ...]]
"""Templates by code."""

_MOUNT = "; mount it, and write the folder where it is mounted"
_STORE = "; only a destination may be in an object store"


def _looks_like(what: str, more: str = "") -> tuple[str, str]:
    """Return the templates for an address in place of a path."""
    where = "softcopy copies between folders on this computer and on mounted shares"
    words = f"looks like {what}, {{path:quoted}}: {where}{more}"
    return f"{words}; a folder of that name here is {{folder}}", words


DETAILS: Wording = {
    # What is wrong with metadata: each goes on behind the name of a file
    ReasonCode.METADATA_UNUSABLE: "has zarr metadata that cannot be used: {problem}",
    ReasonCode.NO_METADATA: (
        "holds no zarr metadata yet (zarr.json, .zarray or .zgroup; for a folder of any files use --kind folder)"
    ),
    ReasonCode.IN_FILE: "{file} {problem}",
    ReasonCode.READ_FAILED: ("cannot be read: {file}: {problem}", "cannot be read: {problem}"),
    ReasonCode.FILE_EMPTY: "is empty",
    ReasonCode.JSON_INVALID: "is not valid JSON (line {line} column {column}: {problem})",
    ReasonCode.JSON_TOO_DEEP: "is not valid JSON (nested too deeply)",
    ReasonCode.JSON_LEFTOVER: "has bytes of an older version behind its end; they are copied, and not read",
    ReasonCode.NOT_AN_OBJECT: "is not zarr metadata: not a JSON object",
    ReasonCode.NO_ZARR_FORMAT: "is not zarr metadata: it has no zarr_format",
    ReasonCode.OTHER_ZARR_FORMAT: "is not zarr metadata: its zarr_format is {value}, not {expected}",
    ReasonCode.NO_NODE_TYPE: (
        "is not zarr metadata: its node_type is {value}",
        "is not zarr metadata: it has no node_type",
    ),
    ReasonCode.METADATA_TOO_LARGE: "has more than {most} MiB, which are not read",
    ReasonCode.TOO_MANY_CHUNKS: (
        "promises {chunks:n} chunk files, too many to keep track of",
        "promises more chunk files than any disk can hold",
    ),
    ReasonCode.STORAGE_TRANSFORMERS: "has storage transformers, which are not supported",
    ReasonCode.NO_KEY: "has no {key}",
    ReasonCode.NO_NAME: "has a {key} without a name",
    ReasonCode.NO_SUFFIX: "has a chunk_key_encoding without a suffix",
    ReasonCode.BAD_VALUE: "has a {key} that is {value}",
    ReasonCode.VALUE_TOO_LONG: "has a {key} of {length:n} characters, which is too long",
    ReasonCode.NO_LENGTH: "has a {key} with {value} in it, which is not a length",
    ReasonCode.NO_LENGTHS: "has a {key} that is {value}, not a list of lengths",
    ReasonCode.LENGTH_ZERO: "has {key} with a length of 0",
    ReasonCode.LENGTH_TOO_LARGE: "has a {key} with {value} in it, which is too large",
    ReasonCode.TOO_MANY_LENGTHS: "has more chunk lengths than can be kept track of",
    ReasonCode.TOO_MANY_DIMENSIONS: "has a {key} with {dimensions} dimensions; at most {most} are supported",
    ReasonCode.OTHER_RANK: "has {here} dimensions in its shape, but {there} in its {key}",
    ReasonCode.CHUNKS_END_EARLY: "has chunk_shapes that end before the array does",
    ReasonCode.UNKNOWN_GRID: "has an unknown kind of chunk grid, {value}",
    ReasonCode.UNKNOWN_KEYS: "names its chunks in an unknown way: {value}",
    ReasonCode.KEYS_LEAD_ELSEWHERE: "names its chunks in a way that leads elsewhere: {suffix} behind each",
    ReasonCode.KEYS_OF_OTHERS: "names its chunks as other files are named: {suffix} behind each",
    ReasonCode.BAD_SEPARATOR: 'separates chunk indices by {value}; only "." and "/" are allowed',
    ReasonCode.NO_CHUNKS_IN_SHARDS: "has shards without a chunk_shape",
    ReasonCode.NO_LEDGER: "cannot be followed: no ledger can be kept in {folder}: {problem}. Make room there",
    # How a dataset differs from the one that it is compared with
    ReasonCode.FORMAT_DIFFERS: "it is of zarr format {here}, not {there}",
    ReasonCode.RANK_DIFFERS: "its number of dimensions is {here}, not {there}",
    ReasonCode.SHAPE_DIFFERS: "its shape is {here}, not {there}",
    ReasonCode.TYPE_DIFFERS: "its type is {here}, not {there}",
    ReasonCode.NOW_SHARDED: "it is sharded",
    ReasonCode.NOT_SHARDED: "it is not sharded",
    ReasonCode.CHUNKS_DIFFER: (
        "its chunks are {here}, not {there}",
        "its chunks have other lengths along axis {axis}",
    ),
    ReasonCode.SHARDS_DIFFER: (
        "its shards are {here}, not {there}",
        "its shards have other lengths along axis {axis}",
    ),
    ReasonCode.INNER_CHUNKS_DIFFER: "the chunks in its shards are {here}, not {there}",
    ReasonCode.KEYS_DIFFER: "its chunk files are called {here}, not {there}",
    ReasonCode.NO_GROUP: "it is an array",
    ReasonCode.ARRAY_DIFFERS: "{array:array}: {difference}",
    ReasonCode.ARRAY_MISSING: "{array:array} is missing",
    ReasonCode.OTHER_CHUNKS: "its chunk files are others",
    ReasonCode.NO_KNOWN_CHUNKS: "it holds none of the chunk files",
    ReasonCode.COPY_OF: (
        "the copy of {source} that was complete on {finished:date}",
        "a copy of another acquisition (newest file of {newest:date})",
    ),
    ReasonCode.ANOTHER_SOURCE: "{copy}, and the source is a different dataset now",
    ReasonCode.WRITTEN_ANEW: "{copy}; the source has been rewritten since",
    # What is the matter with a single file: each goes on behind its path
    ReasonCode.ALWAYS_OTHER_SIZE: "was copied to the destination {times} times, and has a wrong size there every time",
    ReasonCode.ALWAYS_MISSING: "was copied to the destination {times} times, and is not there every time",
    ReasonCode.ONE_NAME: (
        "and {other} are one name at the destination, so neither is copied; rename one at the source"
    ),
    ReasonCode.OPEN_TO_THE_END: "its writer had it open to the end",
    ReasonCode.NOT_FLUSHED: "cannot be flushed to disk: {problem}",
    ReasonCode.OFTEN_DIFFERENT: "{why}, {times} times: the destination's disk may be faulty",
    ReasonCode.KILLS_WORKERS: "cannot be copied: the copy process died {times} times",
    ReasonCode.STOPS_WORKERS: "cannot be copied: the copy process hung {times} times",
    ReasonCode.FOLDER_NOT_LISTED: "cannot be listed: {problem}",
    ReasonCode.FOLDER_NOT_FOUND: "is listed by its parent, and cannot be found",
    ReasonCode.WRITE_FAILED: "cannot be written: {problem}",
    ReasonCode.FOLDER_IN_PLACE: "a folder is in its place at the destination; move that away",
    ReasonCode.FILE_IN_PLACE: "a file is in the place of its folder at the destination; move that away",
    ReasonCode.TOO_LARGE: "is too large for the destination's file system: {size:size} (FAT takes 4 GB at most)",
    ReasonCode.IS_FOLDER: "is a folder, not a file",
    ReasonCode.IS_FIFO: "is a fifo, not a file",
    ReasonCode.IS_SOCKET: "is a socket, not a file",
    ReasonCode.IS_DEVICE: "is a device, not a file",
    ReasonCode.IS_OF_UNKNOWN_KIND: "is of an unknown kind, not a file",
    ReasonCode.AT_SOURCE: "at the source: {problem}",
    ReasonCode.READ_BACK_FAILED: "cannot be read back: {problem}",
    ReasonCode.CAME_BACK_DIFFERENT: (
        "came back from the destination with different content: {damage}",
        "came back from the destination with different content",
    ),
    # Why a chunk file cannot be whole: each goes on behind its path
    ReasonCode.ENDS_EARLY: ("ends early: {size:n} of {expected:n} bytes", "ends early"),
    ReasonCode.ENDS_IN_ZEROS: "is only zeros from some point on",
    ReasonCode.BEGINS_WITH_ZEROS: "begins with zeros, not as {codec} data",
    ReasonCode.BEGINS_OTHERWISE: "does not begin as {codec} data",
    ReasonCode.CANNOT_INFLATE: "cannot be inflated",
    ReasonCode.NO_ZSTD: "is not zstd data from some point on",
    ReasonCode.CHECKSUM_DIFFERS: "does not agree with its {codec}",
    ReasonCode.INDEX_TOO_SHORT: "is too short for its index",
    ReasonCode.INDEX_CHECKSUM: "its index is not whole yet (checksum)",
    ReasonCode.INDEX_NOT_WHOLE: "its index is not whole yet",
    ReasonCode.INDEX_BEYOND_END: "its index points beyond its end",
    ReasonCode.INDEX_INTO_ITSELF: "its index points into itself",
    ReasonCode.CHUNKS_OVERLAP: "its inner chunks overlap",
    # Why a notification could not be sent: each goes on behind its URL
    ReasonCode.NOTIFY_URL_UNKNOWN: "Apprise knows no such URL, or lacks what it needs for it",
    ReasonCode.NOTIFY_VARIABLE_UNSET: "the variable {variable} is not set where the copy was started",
    ReasonCode.NOTIFY_VARIABLE_NO_URL: "the variable {variable} holds no URL",
    ReasonCode.NOTIFY_REFUSED: (
        "it was not accepted ({problem})",
        "it was not accepted, or nobody answers there",
    ),
    ReasonCode.NOTIFY_NO_ANSWER: "no answer within {seconds:time}",
    # What a user wrote in place of a path: each goes on behind "the source"
    ReasonCode.PATH_EMPTY: "is empty; write a path",
    ReasonCode.PATH_TOO_LONG: "is too long for a path: {path:quoted}",
    ReasonCode.PATH_WITH_CONTROL: "has a control character in it: {path:quoted}",
    ReasonCode.PATH_WITH_NO_CHARACTER: "has a character that no file name can have: {path:quoted}",
    ReasonCode.PATH_WITH_LONG_NAME: "has a name of more than {most} bytes in it, which no disk takes: {path:quoted}",
    ReasonCode.PATH_WITH_ODD_QUOTE: (
        "has a quotation mark without its partner: {path:quoted}; put plain quotes around the whole path"
    ),
    ReasonCode.PATH_WITH_COMMAND: "has a command in it, {path:quoted}: write its result",
    ReasonCode.PATH_WITH_UNSET_VARIABLE: (
        "has the variable {variable} in it, which is not set: {path:quoted}; where a name has a $ in it, write $$"
    ),
    ReasonCode.PATH_WITH_UNSET_PERCENT: "has the variable {variable} in it, which is not set: {path:quoted}",
    ReasonCode.PATH_OF_WINDOWS: "is a Windows path, {path:quoted}; write it as this computer does",
    ReasonCode.PATH_OF_UNKNOWN_USER: "begins with the home folder of an unknown user: {path:quoted}",
    ReasonCode.PATH_FROM_NOWHERE: "starts from the current folder, which is gone: {path:quoted}",
    ReasonCode.PATH_IN_FILE_URL: (
        "is a file URL of another computer, or not an absolute path, {path:quoted}: write it as in file:///data/a.zarr"
    ),
    ReasonCode.PATH_IN_S3: _looks_like("an S3 bucket", _STORE),
    ReasonCode.PATH_IN_GOOGLE_CLOUD: _looks_like("a Google Cloud bucket", _STORE),
    ReasonCode.PATH_IN_AZURE: _looks_like("an Azure container", _STORE),
    ReasonCode.PATH_IN_GLOBUS: _looks_like("a Globus collection"),
    ReasonCode.PATH_ON_WEB: _looks_like("a web address"),
    ReasonCode.PATH_IS_ADDRESS: _looks_like("an address"),
    ReasonCode.PATH_ON_SHARE: _looks_like("a network share", _MOUNT),
    ReasonCode.PATH_ON_COMPUTER: _looks_like("a folder on another computer", _MOUNT),
}
