"""The English of object stores as destinations."""

from __future__ import annotations

from softcopy_napari.engine.english_details import Wording
from softcopy_napari.engine.reasons import ReasonCode

_WRITE = "write it as in {example}"

STORES: Wording = {
    # Why a text names no place in an object store: each goes on behind "the destination"
    ReasonCode.STORE_URL_INVALID: f"is no address of an object store, {{text:quoted}}; {_WRITE}",
    ReasonCode.STORE_SCHEME_OTHER: f"looks like an object store, {{text:quoted}}; {_WRITE}",
    ReasonCode.STORE_WITH_SECRET: (
        "has credentials in its address, which would stand in logs and receipts: take them out, and put them into the "
        "environment (as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or into a profile"
    ),
    ReasonCode.STORE_WITHOUT_BUCKET: f"names no bucket, {{text:quoted}}; {_WRITE}",
    ReasonCode.STORE_WITHOUT_NAME: (f"is a whole bucket, {{text:quoted}}: give the dataset a name in it; {_WRITE}"),
    ReasonCode.STORE_WITHOUT_ACCOUNT: "names no storage account, {text:quoted}; write it as in {example}?account=lab",
    ReasonCode.STORE_WITH_ODD_KEY: (
        "has an empty part, . or .. in it, {text:quoted}: object stores take these for names of their own"
    ),
    ReasonCode.STORE_KEY_TOO_LONG: "is too long, {text:quoted}: write at most {most} bytes behind the bucket's name",
    ReasonCode.STORE_OPTION_UNKNOWN: "has the unknown option {option:quoted}, {text:quoted}; there are {options}",
    ReasonCode.STORE_OPTION_INVALID: "has an unusable {option}, {value:quoted}",
    ReasonCode.STORE_ENDPOINT_INVALID: (
        "has an unusable endpoint, {endpoint:quoted}; write it as in {example}?endpoint=https://store.example.org:9000"
    ),
    # Why nothing can be copied into an object store: found before the start
    ReasonCode.STORE_UNREACHABLE: "{destination} does not answer now: {problem}. A copy waits until it does",
    ReasonCode.STORE_BUCKET_MISSING: (
        "destination {destination}: there is no bucket {bucket}. Create it, or correct its name"
    ),
    ReasonCode.STORE_CREDENTIALS: (
        "destination {destination} cannot be used with your credentials: {problem}. Log in as for other "
        "tools, or set their variables"
    ),
    ReasonCode.STORE_NOT_LISTED: (
        "destination {destination} cannot be listed: {problem}. Ask for permission to list its bucket"
    ),
    ReasonCode.STORE_NOT_WRITTEN: (
        "destination {destination} cannot be written: {problem}. Ask for permission to put objects there"
    ),
    ReasonCode.STORE_NOT_READ: (
        "destination {destination} cannot be read back: {problem}. Ask for permission to get objects there"
    ),
    # What a copy into an object store has to say
    ReasonCode.STORE_REFUSED: (
        "{destination} refuses: {problem}. Renew the credentials, or have them permit reading, listing and writing; "
        "copying continues by itself"
    ),
    ReasonCode.STORE_NO_BUCKET: (
        "{destination}: {problem}. Create the bucket, or correct its name; copying continues by itself"
    ),
    ReasonCode.STORE_CLOCK: "{destination} refuses this computer's clock: {problem}. Set its date and time",
    ReasonCode.STORE_OVERLOADED: "{destination} is overloaded ({problem}). Copying continues by itself",
    ReasonCode.STORE_WITHOUT_LINKS: "{destination} cannot hold links: links of the source are left out",
    ReasonCode.STORE_NOT_DELETED: (
        "was deleted by its writer, and is still at the destination: {problem}. Ask for permission to delete objects "
        "there"
    ),
    ReasonCode.FOREIGN_OBJECT: (
        "lies at the destination with different content, which no copy brought there. Move it away, or replace it with "
        "--overwrite"
    ),
}
