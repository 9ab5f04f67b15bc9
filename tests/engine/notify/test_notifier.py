"""A real copy that is held up is told of, and a copy never waits for a notification."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from softcopy_napari.engine.notify import notifier as notifier_module
from softcopy_napari.engine.notify.failure_record import read_problem
from softcopy_napari.engine.notify.notifier import Notifier
from softcopy_napari.engine.notify.outbox import Outbox
from softcopy_napari.engine.notify.preferences_file import preferences_path, write_preferences
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.notify import Notify, read_notify
from softcopy_napari.engine.wording import describe
from tests.engine.jobs import Jobs
from tests.engine.support import make_array, until, write
from tests.support.receivers import Receiver


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_module, "_TICK", 0.05)


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver("http", tmp_path / "webhook.jsonl") as receiver:
        yield receiver


def watch(jobs: Jobs, **settings: object) -> Notifier:
    """Start a copy, and a notifier that gathers for no time at all."""
    job = jobs.start(**settings)
    notifier = Notifier([job.target], lambda: [jobs.now], Outbox(wait=0.0, interval=0.0))
    notifier.start()
    return notifier


def test_a_source_that_is_away_is_told_once_however_often_it_comes_and_goes(
    jobs: Jobs, webhook: Receiver, quick: None
) -> None:
    make_array(jobs.source, (2, 2), chunks=False, old=False)
    rules = {"urls": f"json://127.0.0.1:{webhook.port}", "events": ["paused"], "paused_minutes": 0}
    notifier = watch(jobs, notify=rules)
    assert jobs.caught_up()
    for _ in range(2):
        away = jobs.source.rename(jobs.source.with_name("away"))
        assert until(lambda: jobs.now.state is TargetState.WAITING)
        (message,) = webhook.wait_for()
        away.rename(jobs.source)
        assert jobs.caught_up()
    assert message["title"].startswith("Waiting: source.zarr ")
    assert "is gone. Copying continues when it is back" in message["message"]
    jobs.stop()
    notifier.close()
    assert len(webhook.messages) == 1


def test_a_microscope_that_stops_writing_is_told(jobs: Jobs, webhook: Receiver, quick: None) -> None:
    make_array(jobs.source, (2, 2), chunks=False, old=False)
    rules = {"urls": f"json://127.0.0.1:{webhook.port}", "quiet_minutes": 0.01}
    notifier = watch(jobs, notify=rules)
    (message,) = webhook.wait_for()
    assert message["title"].startswith("Nothing new: source.zarr ")
    assert message["message"].startswith("Nothing has come from the microscope for 1 min\n")
    jobs.stop()
    notifier.close()


def test_a_server_that_never_answers_holds_up_no_copy(jobs: Jobs, tmp_path: Path, quick: None) -> None:
    with Receiver("http", tmp_path / "never.jsonl", "never") as webhook:
        make_array(jobs.source, (2, 2), old=False)
        rules = {"urls": f"json://127.0.0.1:{webhook.port}?rto=3", "quiet_minutes": 0.0}
        notifier = watch(jobs, notify=rules)
        webhook.wait_for()  # and now it waits for an answer
        write(jobs.source / "0.0", b"written once more, while nobody answers")
        began = time.monotonic()
        assert jobs.equal()
        assert time.monotonic() - began < 2.5
        jobs.stop()
    notifier.close()


def test_what_a_server_does_not_take_is_sent_again(jobs: Jobs, tmp_path: Path, quick: None) -> None:
    with Receiver("http", tmp_path / "refused.jsonl", "503") as webhook:
        make_array(jobs.source, (2, 2), chunks=False, old=False)
        rules = {"urls": f"json://127.0.0.1:{webhook.port}", "quiet_minutes": 0.0}
        notifier = watch(jobs, notify=rules)
        messages = webhook.wait_for(2)
        jobs.stop()
        notifier.close()
    assert len({message["message"] for message in messages}) == 1


def test_a_mistake_in_a_url_is_known_while_somebody_is_there(
    jobs: Jobs, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    make_array(jobs.source, (2, 2), chunks=False, old=False)
    notifier = watch(jobs, notify="slak://hunter2/")
    assert until(lambda: read_problem() is not None and caplog.records)
    (record,) = caplog.records
    assert record.getMessage().startswith("a notification to slak://... could not be sent at ")
    assert "Apprise knows no such URL" in describe(read_problem())
    jobs.stop()
    notifier.close()


def test_preferences_that_cannot_be_used_are_told_and_those_that_are_mended_heeded(
    jobs: Jobs, webhook: Receiver, quick: None
) -> None:
    path = preferences_path()
    assert path is not None
    path.parent.mkdir()
    path.write_text("hunter2")
    make_array(jobs.source, (2, 2), chunks=False, old=False)
    notifier = watch(jobs)
    assert until(lambda: read_problem() is not None)
    words = describe(read_problem())
    assert words.startswith("your notification settings cannot be used: ") and "hunter2" not in words
    write_preferences(read_notify({"urls": f"json://127.0.0.1:{webhook.port}", "quiet_minutes": 0}) or Notify())
    webhook.wait_for()
    jobs.stop()
    notifier.close()
