"""Word of copies arrives, once, by mail and by webhook; whatever becomes of it, copies go on and no password leaks."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from softcopy_napari import TargetState, start
from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.notify.crash_reports import report_crashes
from softcopy_napari.engine.notify.failure_record import read_problem
from softcopy_napari.engine.notify.preferences_file import preferences_path
from softcopy_napari.engine.state_folder.history import endings
from softcopy_napari.engine.targets.notify import read_notify
from softcopy_napari.terminal.notify_test import try_notifications
from tests.engine.support import make_array
from tests.support.command import Softcopy, softcopy, until, until_status
from tests.support.receivers import Receiver

SECRET = "t0ken-of-the-lab"


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver("http", tmp_path / "webhook.jsonl") as receiver:
        yield receiver


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_array(tmp_path / "a.zarr", (2, 2))


def url(receiver: Receiver, secret: str = SECRET) -> str:
    return f"json://127.0.0.1:{receiver.port}/{secret}/"


def everything_written(folder: Path) -> str:
    """The content of all files in a folder, as far as it is text."""
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_a_complete_copy_is_told_once_by_mail_and_webhook_and_no_password_is_left_anywhere(
    webhook: Receiver, source: Path, tmp_path: Path, state_folder_in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver("smtp", tmp_path / "mail.jsonl") as mail:
        address = "from=scope3@lab.example&to=team@lab.example&mode=insecure"
        monkeypatch.setenv("LAB_MAIL", f"mailto://mika:s3cr3t-mail@localhost:{mail.port}?{address}")
        command = (source, tmp_path / "copy", "--notify", url(webhook), "--notify", "env:LAB_MAIL")
        first = softcopy(*command)
        assert first.returncode == 0, first.stderr
        (message,), (letter,) = webhook.wait_for(), mail.wait_for()
        again = softcopy(*command)
        assert (again.returncode, len(webhook.messages), len(mail.messages)) == (0, 1, 1)
    assert message["title"].startswith("Done: a.zarr (softcopy on ") and message["type"] == "success"
    assert message["path"] == f"/{SECRET}/"
    assert "4 chunks, sizes and times match" in message["message"]
    assert f"{source} -> {tmp_path / 'copy'}" in message["message"]
    assert letter["to"] == ["team@lab.example"] and letter["subject"] == message["title"]
    written = (
        everything_written(state_folder_in_tmp) + first.stdout + first.stderr + softcopy("status", "--json").stdout
    )
    assert SECRET not in written and "s3cr3t-mail" not in written


def test_no_process_and_no_file_of_an_engine_in_the_background_shows_a_password(
    source: Path, tmp_path: Path, state_folder_in_tmp: Path
) -> None:
    secret = "t0ken-of-this-test"  # other tests may run beside it whose users have typed theirs
    with Receiver("http", tmp_path / "webhook.jsonl", "never") as webhook:
        copy = start(source, tmp_path / "copy", notify=[f"{url(webhook, secret)}?rto=1", "env:NOT_SET"], linger=0.0)
        webhook.wait_for()  # it is being sent now
        running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        assert any("softcopy_napari.engine.notify.sender" in command for command in running)
        assert not any(secret in word for command in running for word in command)
        assert copy.snapshot().state.ended
    until(lambda: read_problem() is not None)
    assert secret not in everything_written(state_folder_in_tmp)


def test_targets_that_finish_together_are_one_message_by_preferences_unless_they_say_otherwise(
    webhook: Receiver, tmp_path: Path
) -> None:
    preferences = preferences_path()
    assert preferences is not None
    preferences.parent.mkdir()
    preferences.write_text(f"urls: [{url(webhook)}]\nevents: [done, failed]\n")
    rows = []
    for number in range(5):
        make_array(tmp_path / f"{number}.zarr", (1, 2))
        word = ", notify: off" if number == 0 else ""
        rows.append(f"- {{source: {number}.zarr, destination: to-{number}, nprocs: 1{word}}}")
    targets = tmp_path / "targets.yaml"
    targets.write_text("\n".join(["targets:", *rows]))
    assert softcopy(targets).returncode == 0
    (message,) = webhook.wait_for()
    assert message["title"].startswith("4 done ")
    assert [f"{number}.zarr" in message["message"] for number in range(5)] == [False, True, True, True, True]


def test_a_copy_that_fails_is_told_with_the_reason(webhook: Receiver, source: Path, tmp_path: Path) -> None:
    (source / "1.1").unlink()
    there = make_array(tmp_path / "copy", (2, 2))  # with a chunk that the source lacks
    ran = softcopy(source, there, "--overwrite", "--finish-idle", "0", "--notify", url(webhook))
    (message,) = webhook.wait_for()
    assert ran.returncode == 1
    assert message["title"].startswith("Failed: a.zarr ") and message["type"] == "failure"
    assert "1.1" in message["message"]


def test_a_server_that_refuses_is_told_in_words_and_the_copy_is_complete(source: Path, tmp_path: Path) -> None:
    with Receiver("http", tmp_path / "refused.jsonl", "403") as refusing:
        ran = softcopy(source, tmp_path / "copy", "--notify", url(refusing))
        refusing.wait_for()
    assert ran.returncode == 0
    assert ran.stderr.count("could not be sent") == 1
    status = softcopy("status", "--dismiss").stdout
    assert "a notification to json://... could not be sent at" in status
    assert "Try it: softcopy notify-test" in status
    assert SECRET not in status + ran.stderr
    assert read_problem() is None  # it was dismissed


def test_a_url_can_be_tried(webhook: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB", url(webhook))
    ran = softcopy("notify-test", "env:LAB", "env:NOT_SET")
    (message,) = webhook.wait_for()
    assert message["title"].startswith("Test (softcopy on ")
    assert ran.returncode == 1
    assert ran.stdout.splitlines() == [
        "Sent  env:LAB (URL 1). Check that it arrived",
        "Failed  env:NOT_SET (URL 2): the variable NOT_SET is not set where the copy was started",
    ]
    with pytest.raises(TargetsError, match="there is no URL to try"):
        try_notifications([])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that kills")
def test_an_engine_that_died_is_told_once_by_whoever_notices_first(webhook: Receiver, tmp_path: Path) -> None:
    source = make_array(tmp_path / "a.zarr", (2, 2), chunks=False, old=False)
    copy = start(source, tmp_path / "copy")
    until(lambda: copy.snapshot().state is TargetState.CAUGHT_UP)
    copy.engine.close()
    psutil.Process(copy.engine.run.pid).kill()
    until(lambda: not copy.engine.run.alive())
    with Softcopy("watch", "--notify", url(webhook)) as watching:
        (message,) = webhook.wait_for()
        report_crashes(endings(), read_notify(url(webhook)))  # as `softcopy status` and napari do
        watching.interrupt()
    assert watching.process.returncode == 0
    assert "Copying crashed: " in watching.output
    assert message["title"].startswith("Interrupted: a.zarr ")
    assert "run it again; nothing is lost" in message["message"]
    assert len(webhook.messages) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM that a process can catch")
@pytest.mark.parametrize("in_background", [True, False])
def test_a_copy_that_the_system_ends_is_told_and_left_in_the_history(
    webhook: Receiver, tmp_path: Path, in_background: bool
) -> None:
    source = make_array(tmp_path / "a.zarr", (2, 2), chunks=False, old=False)
    with contextlib.ExitStack() as stack:
        if in_background:
            copy = start(source, tmp_path / "copy", notify=url(webhook))
            engine = psutil.Process(copy.engine.run.pid)
            until(lambda: copy.snapshot().state is TargetState.CAUGHT_UP)
            copy.engine.close()
        else:
            command = stack.enter_context(Softcopy("--notify", url(webhook), source, tmp_path / "copy"))
            engine = psutil.Process(command.process.pid)
            until_status("Live, up to date")
        engine.terminate()  # as at logout and shutdown
        (message,) = webhook.wait_for()
        psutil.wait_procs([engine], timeout=60)
    assert message["title"].startswith("Interrupted: a.zarr ")
    assert "The system ended it, as at logout or shutdown. Run it again to continue" in message["message"]
    (ending,) = endings()
    assert ending.state_text == "Interrupted" and ending.needs_attention and not ending.crashed
    assert "Interrupted" in softcopy("status").stdout
    report_crashes(endings(), read_notify(url(webhook)))
    assert len(webhook.messages) == 1, "it is told once"
