"""The English of freeing a source: why it is not done, what is going on, and what came of it."""

from __future__ import annotations

from softcopy_napari.engine.english_details import Wording
from softcopy_napari.engine.reasons import ReasonCode

_COPY_AGAIN = "Copy once more first, so that the receipt has it: softcopy {source} {destination}"
_NOTHING_MORE = "Nothing more is moved"

FREEING: Wording = {
    # What became of a source
    ReasonCode.SOURCE_WAS_FREED: (
        "{source} was freed on {ended:date}: its {files:file} are at {destination}, and until {until:date} in {grace}. "
        "To get them back: softcopy free --undo {source}",
        "{source} was freed on {ended:date}: its {files:file} are at {destination}, and no longer here",
    ),
    ReasonCode.SOURCE_HALF_FREED: (
        "{source} is being freed: some of its {files:file} are in {grace}. Continue with softcopy free {source} "
        "{destination}, or get them back: softcopy free --undo {source}"
    ),
    ReasonCode.FREEING_SOURCE: "freeing the source: {files:n} of {total:file} moved",
    ReasonCode.READING_BACK_TO_FREE: "freeing the source: {files:n} of {total:file} read back",
    ReasonCode.DELETING_FREED: "deleting freed files: {files:n} of {total:n}",
    ReasonCode.SOURCE_FREED: "The source is freed: its {files:file} are in {grace} until {until:date}",
    ReasonCode.FREEING_STOPPED: "Freeing was stopped before anything was moved",
    ReasonCode.SOURCE_NOT_FREED: "The source was not freed: {why}",
    # Why a source is not freed: the receipt
    ReasonCode.FREE_WITHOUT_RECEIPT: "{problem}",
    ReasonCode.FREE_OTHER_SOURCE: "the receipt of {destination} is of another source, {other}, not of {source}",
    ReasonCode.FREE_DOUBTS: "the receipt of {destination} has doubts: {problem}. Such a source is not freed",
    ReasonCode.FREE_NOTES: (
        "the receipt of {destination} has notes: {problem}. If you have read them and they do not matter: "
        "softcopy free {source} {destination} --accept-notes"
    ),
    ReasonCode.FREE_NAMES_CLASH: "{destination} treats {path} and {other} as one name: it cannot hold both",
    # Why a source is not freed: who uses it
    ReasonCode.FREE_LAST_FAILED: "the last copy to {destination} is {state}. Complete it first",
    ReasonCode.FREE_OTHER_COPY: (
        "{source} is also copied to {other}, which is {state}. Complete that copy first; or, if it does not matter, "
        "add --despite {other}"
    ),
    ReasonCode.FREE_IS_FILLED: "{source} is itself being written to, from {other}, which is {state}",
    ReasonCode.FREE_ENGINE_SILENT: (
        "a copy engine (process {pid}) cannot be asked whether it copies {source}. End it, or add --despite {pid}"
    ),
    ReasonCode.FREE_OTHER_USER: (
        "{user} runs softcopy too (process {pid}), and may be copying {source}. If not, add --despite {pid}"
    ),
    ReasonCode.FREE_LOCKED: "{path} is a lock or temporary of a writer. If none is at work any more, delete it",
    ReasonCode.FREE_OPEN: "{path} is open for writing. " + _NOTHING_MORE,
    ReasonCode.FREE_TOO_RECENT: (
        "{path} was changed less than {seconds:time} ago. A source is freed only after that long without a change"
    ),
    ReasonCode.FREE_BUSY: "another softcopy free is at work in {grace}",
    # Why a source is not freed: what lies at both sides
    ReasonCode.FREE_NOT_IN_RECEIPT: "{path} at the source is not in the receipt. " + _COPY_AGAIN,
    ReasonCode.FREE_CHANGED: "{path} at the source is not what the receipt says, or is changing. " + _COPY_AGAIN,
    ReasonCode.FREE_COPY_DIFFERS: (
        "{path} at {destination} is not what the receipt says ({problem}). The source is kept: it may be the only "
        "good one. " + _NOTHING_MORE
    ),
    ReasonCode.FREE_UNREADABLE: "{path} cannot be read: {problem}. " + _NOTHING_MORE,
    ReasonCode.FREE_NOT_FLUSHED: "{path} at {destination} cannot be flushed: {problem}. " + _NOTHING_MORE,
    ReasonCode.FREE_SAME_FILE: (
        "{path} is the same file at {source} and at {destination}, not a copy. Nothing is freed"
    ),
    ReasonCode.FREE_SAME_FOLDER: (
        "{source} and {destination} are the same folder, through a link, a mount or a share: not a copy. "
        "Nothing is freed"
    ),
    ReasonCode.FREE_UPLOADS_LATER: (
        "{destination} is on a drive that {program} uploads later: reading it back proves nothing"
    ),
    # Why a source is not freed: the grace folder
    ReasonCode.FREE_NO_GRACE_FOLDER: "the grace folder {grace} cannot be used: {problem}",
    ReasonCode.FREE_GRACE_TAKEN: "{grace} is there already, and is not the grace folder of {source}. Rename it",
    ReasonCode.FREE_OTHER_DISK: (
        "{path} is on another disk than {grace}: files are renamed, never copied and deleted. It is not freed"
    ),
    ReasonCode.FREE_OTHER_DESTINATION: (
        "{source} was freed, or is being freed, with its copy at {other}. First: softcopy free --undo {source}"
    ),
    ReasonCode.FREE_MOVE_FAILED: "{path} cannot be moved to {grace}: {problem}. " + _NOTHING_MORE,
    # Having files back
    ReasonCode.UNDO_NOTHING: "{source} has not been freed: there is no grace folder {grace}",
    ReasonCode.UNDO_OTHER_FOLDER: (
        "another folder lies at {source} than the one that was freed. Move the files from {grace} where you want them"
    ),
    ReasonCode.UNDO_TAKEN: "{path} is at the source again: the freed one stays in {grace}",
    # Deleting what has expired
    ReasonCode.EXPIRY_TOO_EARLY: "{grace} is kept until {until:date}",
    ReasonCode.EXPIRY_UNFINISHED: "{grace} is not complete: continue with softcopy free, or undo it",
    ReasonCode.EXPIRY_COPY_DIFFERS: (
        "{path} at {destination} is not what was freed ({problem}). {grace} is kept: it may hold the only good one"
    ),
    ReasonCode.EXPIRY_UNKNOWN_FILE: "{path} in {grace} is not what was moved there: it is kept",
}
