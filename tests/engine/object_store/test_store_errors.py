"""What stores answer, in words: as recorded from servers that no test can run."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.fs.destination_problem import ProblemKind
from softcopy_napari.engine.object_store.store_errors import StoreError, explain_error

_AZURE = (
    "The operation lacked the necessary privileges to complete for path a.zarr: Error performing PUT "
    "http://127.0.0.1:10000/lab/a.zarr in 4.1ms - Server returned non-2xx status code: 403 Forbidden: "
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}\n'
    "RequestId:8c9bc193-2a9d-4091-b7f0-ad6766e509b2\nTime:2026-12-01T12:30:54.295Z</Message>{detail}\n</Error>"
)
_FAILED = "Server failed to authenticate the request."


@pytest.mark.parametrize(
    ("code", "message", "detail", "kind", "words"),
    [
        (
            "AuthenticationFailed",
            _FAILED,
            "",
            ProblemKind.REFUSED,
            f"the credentials are not valid: {_FAILED} (HTTP 403)",
        ),
        (
            *("AuthenticationFailed", _FAILED),
            "<AuthenticationErrorDetail>Request date header too old: 'Tue'</AuthenticationErrorDetail>",
            *(ProblemKind.CLOCK, f"{_FAILED} (HTTP 403)"),
        ),
        ("ContainerNotFound", "There is none.", "", ProblemKind.NO_BUCKET, "There is none."),
    ],
)
def test_azures_answers_are_understood(code: str, message: str, detail: str, kind: ProblemKind, words: str) -> None:
    found = explain_error(PermissionError(_AZURE.format(code=code, message=message, detail=detail)))
    assert isinstance(found, StoreError) and found.kind is kind
    assert found.strerror == words and not found.denied
