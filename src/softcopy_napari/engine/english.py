"""The English of everything that the engine has to say: a template for each reason code.

`{name}` is a field as it is, `{name:quoted}` in quotes, `{name:n}` a number with commas, `{name:size}` bytes,
`{name:time}` and `{name:roughly}` seconds, `{name:clock}` and `{name:date}` a Unix time, `{name:file}` a number of
files, `{name:image or well|images or wells}` a number of what has a plural of its own, and `{array:array}` an array by
its path, which the only array of a dataset does not have. Of several templates the first one counts whose fields are
all there. Front ends override those in which they differ: what to press, which command to type. wording.py fills them.
"""

from __future__ import annotations

from softcopy_napari.engine.english_dask import DASK
from softcopy_napari.engine.english_details import DETAILS, Wording
from softcopy_napari.engine.english_freeing import FREEING
from softcopy_napari.engine.english_stores import STORES
from softcopy_napari.engine.reasons import ReasonCode

_RUN_AGAIN = "run it again with --overwrite to replace the copy, or with another destination"
_BY_LOOKING = "looking for new files every few seconds"
_ALLOW_WATCHES = " instead. To allow it: sysctl fs.inotify.max_user_watches=1000000 fs.inotify.max_user_instances=1024"
_MAKE_ROOM = "Make room; copying continues by itself"
_RAISE_QUOTA = "Delete something or have it raised; copying continues by itself"
_CONNECT = "Connect its disk again; copying continues by itself"
_READ_BACK = "Files copied before are read back and compared"
_AS_PLAIN_FILES = (
    "Its files are copied as plain files; the copy ends with a file named 'complete', --finish-idle, "
    "or when you finish it"
)

ENGLISH: Wording = {
    ReasonCode.TEXT: "{text}",
    ReasonCode.ALL_OF: "{parts}",
    # What is waited for before there is anything to copy
    ReasonCode.SOURCE_MISSING: "{source} does not exist yet",
    ReasonCode.SOURCE_GONE: "{source} is gone. Copying continues when it is back",
    ReasonCode.SOURCE_CHANGED: "{source} has changed since its copy was complete",
    ReasonCode.SOURCE_NOT_A_FOLDER: "{source} is not a folder",
    ReasonCode.SOURCE_UNUSABLE: "{source} {problem}",
    ReasonCode.SOURCE_NOT_READY: "{source} {problem}. Waiting for it",
    ReasonCode.SOURCE_UNREADABLE: "{source} {problem}. Trying again",
    ReasonCode.SOURCE_REPLACED: (
        "{source} was deleted, and another dataset is there now. The copy of the first one is kept: " + _RUN_AGAIN
    ),
    ReasonCode.SOURCE_DIFFERS: (
        "{source} is not the same dataset as before ({difference}). Waiting for the original. "
        "Is this the right one? Stop the copy and " + _RUN_AGAIN
    ),
    ReasonCode.SOURCE_NOT_WATCHABLE: "{source} cannot be watched: {problem}",
    ReasonCode.USER_ENDED_WAITING: "{why}, and you said that the acquisition is over",
    ReasonCode.CHECKING_DESTINATION: "checking what is at {destination}",
    ReasonCode.OTHER_DATASET: (
        "destination {destination} holds another dataset, not a copy of {source}: {difference}. "
        "Nothing was touched. To replace it, add --overwrite (or overwrite: true), or choose another destination"
    ),
    ReasonCode.LOOK_FAILED: "{destination} could not be checked: {problem}",
    # What stands in the way
    ReasonCode.DESTINATION_FULL: (
        "{destination} is full: {free:size} free, about {needed:size} needed for the {files:n} waiting files. "
        + _MAKE_ROOM,
        "{destination} is full: about {needed:size} needed for the {files:n} waiting files. " + _MAKE_ROOM,
        "{destination} is full: {free:size} free, more is needed. " + _MAKE_ROOM,
        "{destination} is full. " + _MAKE_ROOM,
    ),
    ReasonCode.DESTINATION_NO_FILES: (
        "{destination} has space but takes no more files (no inodes left): {files:file} to copy. "
        "Delete files that you no longer need; copying continues by itself"
    ),
    ReasonCode.DESTINATION_QUOTA: (
        "your quota at {destination} is used up: about {needed:size} needed for the {files:n} waiting files. "
        + _RAISE_QUOTA,
        "your quota at {destination} is used up. " + _RAISE_QUOTA,
    ),
    ReasonCode.DESTINATION_READ_ONLY: "{destination} is read-only. Make it writable; copying continues by itself",
    ReasonCode.DESTINATION_UNREACHABLE: (
        "{destination} cannot be reached, or is not the same folder as before ({problem}). " + _CONNECT,
        "{destination} cannot be reached, or is not the same folder as before. " + _CONNECT,
    ),
    ReasonCode.NO_ANSWER: "the disk of the source or destination has not answered since {since:clock}. Waiting",
    ReasonCode.BAD_METADATA: "metadata of {folder}: {problem}",
    # What is done now
    ReasonCode.SCANNING: "",
    ReasonCode.FLUSHING: ("flushing to disk: {files:n} files so far", "flushing to disk"),
    ReasonCode.READING_BACK: "reading back the copy: {files:n} files so far",
    ReasonCode.FINDING_CHECKSUMS: "finding the checksums of files copied before: {files:n} so far",
    ReasonCode.CHECKING_FILES: "checking every file",
    ReasonCode.COMPARED_SO_FAR: "{files:n} files compared so far",
    ReasonCode.WRITING_RECEIPT: "writing the receipt",
    ReasonCode.WORKER_STUCK: "a copy process hangs in a disk operation and could still write. Waiting for it",
    # What a live copy waits for
    ReasonCode.NO_ARRAY: "no zarr array yet",
    ReasonCode.NO_FILE: "no files yet",
    ReasonCode.STILL_GROWING: "{path} is growing; copied again after {seconds:time} without a change",
    ReasonCode.NOT_LISTED_YET: "{path} is not listed as complete in {file} yet ({files:file} in all)",
    ReasonCode.NODES_TO_COME: "{nodes:image or well|images or wells} still to come",
    ReasonCode.CHUNKS_TO_COME: "{chunks:chunk} still to come",
    ReasonCode.FILE_IN_USE: "{path} is open or locked by its writer",
    ReasonCode.FILES_IN_USE: "a writer has files open",
    ReasonCode.ALL_THERE: "all chunks are there",
    ReasonCode.ALL_THERE_BUT: "all chunks are there, but {objection}",
    ReasonCode.MARKER_TOO_OLD: (
        "{why}; the file named '{marker}' is older than the data",
        "{why}; the file named 'complete' is older than the data",
    ),
    ReasonCode.DONE_AFTER_QUIET: "{why}; done after {seconds:time} without a change",
    # What speaks against a quiet acquisition being over
    ReasonCode.RESUMED: "more came after the copy was complete",
    ReasonCode.GREW: "{array:array} grows while it is acquired",
    ReasonCode.CAME_LATER: "{array:array} was made or resized after other data were written: more may come",
    ReasonCode.REWRITTEN: "{path} was written more than once",
    ReasonCode.NOT_WHOLE: "{path} is not whole yet",
    ReasonCode.OUTSIDE: "{path} is outside its array's shape: the array may grow",
    ReasonCode.ONE_ALONG_SLOWEST: "{array:array} has one chunk along its slowest axis, which may be written again",
    ReasonCode.EMPTY_ARRAY: "{array:array} is empty: its acquisition may not have begun",
    ReasonCode.PLACEHOLDERS: "most chunks of {array:array} hold the same bytes, as if they were to be filled later",
    ReasonCode.ONE_WELL: "{array:array} is in the only well of its plate: more wells may come",
    ReasonCode.UNLISTED: "{array:array} is in a group that does not list its images: more may come",
    ReasonCode.UNKNOWN_LAYOUT: "{array:array} does not say how many chunks to expect",
    ReasonCode.ANY_FILES: "a folder does not say how many files to expect",
    # Why an acquisition is over
    ReasonCode.USER_SAID_OVER: "you said that the acquisition is over",
    ReasonCode.MARKER_SAYS_OVER: (
        "a file named '{marker}' says that the acquisition is over",
        "a file named 'complete' says that the acquisition is over",
    ),
    ReasonCode.MANIFEST_SAYS_OVER: "{file} says that the acquisition is over",
    ReasonCode.QUIET: "nothing has changed for {seconds:time}",
    ReasonCode.ALL_THERE_AND_QUIET: "every chunk is there and nothing has changed for {seconds:time}",
    # How a target ends
    ReasonCode.COMPLETE: ("{chunks:chunk}, sizes and times match; {why}", "sizes and times match; {why}"),
    ReasonCode.COMPLETE_BY_CHECKSUM: "{chunks:chunk}, checksums match; {why}",
    ReasonCode.COMPLETE_BY_CONTENT: (
        "{chunks:chunk}, sizes and contents match; {why}",
        "sizes and contents match; {why}",
    ),
    ReasonCode.STOPPED: "run it again to continue",
    ReasonCode.ENDED_BY_SYSTEM: "The system ended it, as at logout or shutdown. Run it again to continue",
    ReasonCode.CHECK_STOPPED: "check again to compare everything",
    ReasonCode.INTERNAL_ERROR: "an error in softcopy itself, which its log describes. {next}",
    ReasonCode.FILES_FAILED: "{files:file} could not be copied; {path} {why}",
    ReasonCode.CANNOT_LIST: ("{path} {problem}, and {more:n} more", "{path} {problem}"),
    ReasonCode.FLUSH_FAILED: "{destination} cannot be flushed to disk: {problem}",
    ReasonCode.CHUNKS_LOST: (
        "{chunks:chunk} lost: gone from the source before being copied ({names}). If somebody moved them, "
        "put them back and start this copy again"
    ),
    ReasonCode.LISTED_AND_MISSING: (
        "{files:file} listed in {file} missing in the source ({names}). If somebody moved them, "
        "put them back and start this copy again"
    ),
    ReasonCode.NOT_IN_SOURCE: (
        "{files:file here is|files here are} not in the source any more ({names}). "
        "Was the source cleared, or is this the wrong folder? The copies are kept"
    ),
    ReasonCode.UNKNOWN_CHUNKS: (
        "chunks here are not in the source, and no known copy brought them: {names}. Whoever reads the copy sees them. "
        "Wrong folder? They are kept"
    ),
    ReasonCode.EDITED_ON_BOTH_SIDES: (
        "{path} was changed at the destination and at the source after it was copied. "
        "The destination's version was kept; --overwrite replaces it"
    ),
    # What a user should know of a copy
    ReasonCode.WORKER_SILENT: "{who} did not answer and was replaced",
    ReasonCode.WORKER_DIED: "copy process {pid} died and was replaced",
    ReasonCode.WORKERS_CANNOT_START: "copy processes cannot be started: {problem}",
    ReasonCode.FEW_OPEN_FILES: (
        "copy processes of each target: {processes} at most, as this session may have {most} open files; "
        "before the start, {command} allows more"
    ),
    ReasonCode.FEW_THREADS: (
        "copy processes of each target: {processes} at most, as this session may have {most} processes and threads; "
        "before the start, {command} allows more"
    ),
    ReasonCode.ENGINE_SILENT: "the copy engine (process {pid}) does not answer",
    ReasonCode.NO_LOW_PRIORITY: "the system does not allow copying at low priority: {problem}",
    ReasonCode.CHECKSUMS_NOT_KEPT: (
        "checksums cannot be saved in {folder}: {problem}. Copying continues, but the receipt needs them: "
        "make room there"
    ),
    ReasonCode.REREAD_FLUSH_FAILED: ("the destination's disk could not be flushed. " + _READ_BACK),
    ReasonCode.REREAD_FLUSH_UNSURE: (
        "copy processes died before the destination's disk had confirmed what they wrote. " + _READ_BACK
    ),
    ReasonCode.REREAD_POWER_LOST: ("the computer went down while this destination was being filled. " + _READ_BACK),
    ReasonCode.REREAD_TAKEN_AWAY: ("the destination's disk was away for a while. " + _READ_BACK),
    ReasonCode.FORECAST_WARNING: "{why} (forecast of {at:clock})",
    ReasonCode.EVENTS_LOST: "the system dropped file events (too many at once). Scanning all folders instead",
    ReasonCode.FOLDERS_NOT_WATCHED: "folders cannot be watched: " + _BY_LOOKING + _ALLOW_WATCHES,
    ReasonCode.SOME_FOLDERS_NOT_WATCHED: "not all folders can be watched: " + _BY_LOOKING + _ALLOW_WATCHES,
    ReasonCode.WATCHING_BROKE: (
        "folders are no longer watched, because of an error in softcopy itself, which its log describes: " + _BY_LOOKING
    ),
    ReasonCode.SOURCE_ON_SHARE: (
        "the source is on a network share ({kind}): " + _BY_LOOKING,
        "the source is on a network share: " + _BY_LOOKING,
    ),
    ReasonCode.MANIFEST_NOT_FOLLOWED: "{file} is not followed: it is not a list of finished files",
    ReasonCode.MANIFEST_OF_OTHER_VERSION: "{file} is not followed: it has schema {version}, and 1 is known",
    ReasonCode.MANIFEST_BAD_LINE: "{file} has lines that cannot be read. They are skipped",
    ReasonCode.FILES_LEFT: "{files:file} gone from the source before being copied: {names}",
    ReasonCode.METADATA_NOT_FOLLOWED: (
        "{folder}/{problem}. " + _AS_PLAIN_FILES,
        "{problem}. " + _AS_PLAIN_FILES,
    ),
    ReasonCode.METADATA_NOTE: "metadata of {folder} {problem}",
    ReasonCode.COPIED_AS_PLAIN_FILES: "metadata of {folder} {problem}. Its files were copied as plain files",
    ReasonCode.COMPARED_AS_PLAIN_FILES: "metadata of {folder} {problem}. Its files were compared as plain files",
    ReasonCode.LINK_OUT: (
        "{path} is a link out of the source, to {target:quoted}: only the link is copied; "
        "links: copy (--links copy) copies what it leads to"
    ),
    ReasonCode.LINK_OUT_AS_IT_IS: ("{path} is a link out of the source, to {target:quoted}: only the link is copied"),
    ReasonCode.MORE_LINKS_OUT: "there are more links out of the source; only the links are copied",
    ReasonCode.MADE_ANEW: "{source} was deleted and created again. The new dataset is copied",
    ReasonCode.LEFT_OPEN: "{path} was still open in its writer at the end. Copied as it was",
    ReasonCode.LEFT_LOCKED: "{path} was still locked by its writer at the end. Copied as it was",
    ReasonCode.TEMPORARIES_LEFT: "{files:temporary file} left by writers, not copied: {path}",
    ReasonCode.DAMAGED_FILE: "not whole at the source (copied as it is): {path} {problem}",
    ReasonCode.DAMAGED_FILES: "not whole at the source (copied as they are): {files:file} in all",
    ReasonCode.NO_TIMES: (
        "{destination} does not keep modification times. Files are compared by size and the checksums noted on arrival"
    ),
    ReasonCode.GROUP_CANNOT_READ: (
        "{destination} is shared with a group that cannot read the copies. "
        "permissions: group (--permissions group) makes them readable"
    ),
    ReasonCode.STORED_LATER: (
        "{destination} is a cloud mount that uploads in the background (rclone --vfs-cache-mode, davfs2, ...). "
        "Keep the source until everything is uploaded"
    ),
    ReasonCode.OLD_FILES_REMOVED: "{files:file} of the earlier dataset removed from {destination}",
    ReasonCode.OLD_FILES_LEFT: "files of the earlier dataset could not be removed from {destination}: {problem}",
    ReasonCode.EDITED_AT_DESTINATION: (
        "{path} was changed at the destination after it was copied. Kept; --overwrite replaces it"
    ),
    ReasonCode.NEWER_AT_DESTINATION: "{files:file} newer at the destination than at the source, replaced: {names}",
    ReasonCode.NODES_NEVER_CAME: "{nodes:image or well|images or wells} of the metadata never came: {names}",
    ReasonCode.DESTINATION_ONLY: "only at the destination, left alone: {names}",
    ReasonCode.MADE_BY_SYSTEM: "only at the destination, made by its system: {names}",
    ReasonCode.RENAMED: "{old} was renamed to {new} at the source. The copy under its old name is kept",
    ReasonCode.FOLDER_UNLISTABLE: (
        "{folder} at the source cannot be listed. The system made it; it holds no data of yours"
    ),
    ReasonCode.RECEIPT_FAILED: "the receipt beside {destination} could not be written: {problem}",
    ReasonCode.PROGRESS_FILE_FAILED: "the progress file beside {destination} could not be written: {problem}",
    ReasonCode.RECEIPT_BROKE: (
        "the receipt could not be written, because of an error in softcopy itself, which its log describes"
    ),
    # What is going to happen, and why copying is slowed down
    ReasonCode.KEEPS_UP: "Keeping up. Done about {end:clock}",
    ReasonCode.COMPLETE_LATER: "Done about {after:roughly} after the acquisition, which ends about {end:clock}",
    ReasonCode.FALLS_BEHIND: "Falling behind the acquisition: {written:size}/s written, {copied:size}/s copied",
    ReasonCode.NOT_ENOUGH_SPACE: "Not enough space: {missing:size} missing",
    ReasonCode.NOT_ENOUGH_SPACE_FOR_ALL: "Not enough space: {missing:size} missing if all chunks come",
    ReasonCode.SOURCE_DISK_FILLS: "The source's disk is full at {when:clock} if the acquisition continues at this rate",
    ReasonCode.SOURCE_DISK_TOO_SMALL: (
        "The source's disk is full at {when:clock}, before the acquisition is over: {missing:size} missing"
    ),
    ReasonCode.LIMIT_AS_SET: "speed limit as set",
    ReasonCode.IN_PAUSES: "copying in the microscope's pauses: keeping up",
    ReasonCode.IN_PAUSES_OF_OTHERS: "copying in the pauses of another acquisition on this computer",
    ReasonCode.MORE_THAN_PAUSES: (
        "copying in the microscope's pauses, and {percent} % of the time between them: the pauses are too short"
    ),
    ReasonCode.GIVES_WAY: (
        "yielding to the acquisition: its writer has files open {times} times as long as without copying"
    ),
    ReasonCode.COMES_BACK: "speeding up slowly after yielding to the acquisition",
    ReasonCode.STANDS_STILL: "pausing for a few seconds, to see how the acquisition does without copying",
    ReasonCode.DISK_NEARLY_FULL: "yielding less: the source's disk is full in {minutes} min",
    # What notifications are about, and why one could not be sent
    ReasonCode.NOTHING_CAME: "nothing has come from the microscope for {seconds:roughly}",
    ReasonCode.NOTIFICATION_FAILED: "a notification to {url} could not be sent at {at:clock}: {problem}",
    ReasonCode.NOTIFY_FILE_UNUSABLE: "your notification settings cannot be used: {problem}",
    # Why an order is not carried out
    ReasonCode.NOT_AN_ORDER: "not an order: {problem}",
    ReasonCode.NO_SUCH_TARGET: "there is no target {target:quoted}",
    ReasonCode.HAS_ENDED: "{source} is no longer copied: it has ended",
    ReasonCode.ONLY_COMPARED: "{source} is only being compared: it has no speed to set",
    # What a check finds
    ReasonCode.CHECK_SOURCE_GONE: "{source} is gone",
    ReasonCode.EQUAL_BY_TIME: "all {files:n} files of the source are at the destination, equal in size and time",
    ReasonCode.EQUAL_BY_CONTENT: "all {files:n} files of the source are at the destination, equal in size and content",
    ReasonCode.NOTHING_COPIED: "nothing of the source is at the destination",
    ReasonCode.MISSING: (
        "missing at the destination: {chunks:chunk} and {others:other file}",
        "missing at the destination: {chunks:chunk}",
        "missing at the destination: {others:other file}",
    ),
    ReasonCode.DIFFERENT: (
        "different there: {chunks:chunk} and {others:other file}",
        "different there: {chunks:chunk}",
        "different there: {others:other file}",
    ),
    ReasonCode.TIMES_DIFFER: (
        "only the times differ: {chunks:chunk} and {others:other file}",
        "only the times differ: {chunks:chunk}",
        "only the times differ: {others:other file}",
    ),
    ReasonCode.ONLY_THERE: "only at the destination: {items:file or folder|files and folders}",
    ReasonCode.DAMAGED: "damaged at the source: {chunks:chunk}",
    **DETAILS,
    **DASK,
    **FREEING,
    **STORES,
}
