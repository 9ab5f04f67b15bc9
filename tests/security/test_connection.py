"""The local connection: strangers who talk to a real engine, and engines that are none."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
from multiprocessing.context import AuthenticationError
from pathlib import Path
from typing import Any

import psutil
import pytest

from softcopy_napari.engine import client
from softcopy_napari.engine.client import EngineGone, EngineHandle, launch
from softcopy_napari.engine.protocol.messages import Order
from softcopy_napari.engine.reasons import decode_reason
from softcopy_napari.engine.states import TargetState
from softcopy_napari.engine.targets.build import make_target
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.wording import describe
from tests.engine.support import make_array, replace, until
from tests.security.support import KEY, Bomb, fake_engine
from tests.support.command import halted, softcopy

pytestmark = pytest.mark.skipif(os.name != "posix", reason="raw sockets")

NAN = b'{"snapshot": {"pid": 1, "version": "0", "started": NaN}}'
SNAPSHOT = {"pid": 1, "version": "0", "started": 1.0, "targets": []}
TARGET = {"id": "1", "source": "/a", "destination": "/b", "state": "copying"}
ARRAY = {"path": "", "shape": [4], "chunk_shape": [2], "grid": [2], "dtype": "", "ledger": "", "counts": [0] * 7}


def reply(**target: Any) -> bytes:
    return json.dumps({"snapshot": {**SNAPSHOT, "targets": [{**TARGET, **target}]}}).encode()


BAD_REPLIES = {
    "nothing": b"",
    "no text": b"\xff\xfe\0",
    "no reply": b"[]",
    "too deep": b"[" * 100_000,
    "no number": NAN,
    "endless": reply(eta=float("inf")),
    "too large a number": reply(bytes_copied=10**400),
    "negative": reply(counts=[-1] * 7),
    "of no rank": reply(arrays=[{**ARRAY, "shape": [4, 4]}]),
    "of other chunks": reply(arrays=[{**ARRAY, "grid": [7]}]),
    "no chunks": reply(arrays=[{**ARRAY, "chunk_shape": [0]}]),
    "of 10,000 axes": reply(arrays=[{**ARRAY, **dict.fromkeys(("shape", "chunk_shape", "grid"), [1] * 10_000)}]),
    "of no state": reply(state="exploding"),
    "something else": reply(command="rm -rf /"),
}


# -- a real engine -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineHandle, Path, Path]]:
    """An engine that copies, with its source and destination."""
    folder = tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTCOPY_STATE_DIR", str(folder / "state"))
        source, destination = make_array(folder / "source", (50,), chunks=False), folder / "destination"
        handle = launch([make_target(source, destination, Settings(nprocs=1, settle=1000.0))])
        process = psutil.Process(handle.run.pid)
        try:
            assert until(lambda: handle.snapshot().targets[0].state is TargetState.CAUGHT_UP)
            yield handle, source, destination
        finally:
            handle.ask(Order(do="stop"))
            handle.close()
            process.wait(10)


@pytest.fixture
def goes_on(engine: tuple[EngineHandle, Path, Path]) -> Callable[[], None]:
    """Fails unless the engine copies what is written now, and answers a front end that calls anew."""
    handle, source, destination = engine

    def check() -> None:
        content = random.randbytes(50)
        replace(source / "7", content)
        assert until(lambda: (destination / "7").exists() and (destination / "7").read_bytes() == content)
        assert until(lambda: answers(handle), 20.0)

    return check


def answers(handle: EngineHandle) -> bool:
    other = EngineHandle(handle.run)
    try:
        return other.snapshot().targets[0].state in (TargetState.CAUGHT_UP, TargetState.COPYING)
    except EngineGone:
        return False
    finally:
        other.close()


def call(handle: EngineHandle) -> socket.socket:
    stranger = socket.socket(socket.AF_UNIX)
    stranger.connect(handle.run.address)  # waits where many others do
    stranger.settimeout(5.0)
    return stranger


def drain(stranger: socket.socket) -> None:
    with contextlib.suppress(OSError):
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(1 << 16):
            pass


def test_nobody_else_can_reach_the_socket(engine: tuple[EngineHandle, Path, Path]) -> None:
    found = Path(engine[0].run.address)
    assert found.stat().st_mode & 0o777 == 0o600 and found.parent.stat().st_mode & 0o777 == 0o700


def test_bytes_of_any_kind_from_strangers_do_nothing(
    engine: tuple[EngineHandle, Path, Path], goes_on: Callable[[], None], tmp_path: Path
) -> None:
    handle, chance = engine[0], random.Random(1)
    bomb = Bomb(tmp_path / "boom").pickled()
    sizes = [(-1).to_bytes(4, "big", signed=True) + b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff" * 4, b"\0" * 4, b""]
    messages = [len(bomb).to_bytes(4, "big") + bomb, bomb, *sizes]
    messages += [chance.randbytes(chance.randrange(300)) for _ in range(20)]
    messages += [size + chance.randbytes(100) for size in (b"\0\0\0\x14", b"\0\0\1\0", b"\0\0\0\x40")]
    for message in messages:
        with call(handle) as stranger:
            with contextlib.suppress(OSError):
                stranger.sendall(message)
            drain(stranger)
    assert not (tmp_path / "boom").exists()
    goes_on()


def test_a_stranger_without_the_key_is_told_nothing(
    engine: tuple[EngineHandle, Path, Path], goes_on: Callable[[], None]
) -> None:
    for answer in (b"", b"{sha256}" + b"\0" * 32, b"\0" * 16, b"#WELCOME#", b"{none}x"):
        with call(engine[0]) as stranger:
            assert b"#CHALLENGE#" in stranger.recv(1000)
            stranger.sendall(len(answer).to_bytes(4, "big") + answer)
            assert b"#WELCOME#" not in stranger.recv(1000) and stranger.recv(1000) == b""
    goes_on()


def test_who_has_the_key_and_then_talks_nonsense_does_nothing(
    engine: tuple[EngineHandle, Path, Path], goes_on: Callable[[], None], tmp_path: Path
) -> None:
    bomb, chance = Bomb(tmp_path / "boom").pickled(), random.Random(2)
    junk = [bomb, b"", b"null", b"[" * 60_000, b'{"do": "stop", "do": "x"}', b'{"do": ["stop"]}', b'{"do": NaN}']
    junk += [b'{"do": "snapshot", "target": "' + b"x" * 60_000 + b'"}', b'{"do": "stop", "target": "\\u001b[2J"}']
    junk += [chance.randbytes(chance.randrange(500)) for _ in range(20)]
    key = bytes.fromhex(engine[0].run.key)
    with Client(engine[0].run.address, authkey=key) as connection:
        for message in junk:
            connection.send_bytes(message)
            answer = json.loads(connection.recv_bytes())
            assert answer["snapshot"] is None and describe(decode_reason(answer["error"])).isprintable()
        with contextlib.suppress(OSError):
            connection.send_bytes(b"x" * 70_000)  # more than an order can have
        with pytest.raises((EOFError, OSError)):
            connection.recv_bytes()
    with Client(engine[0].run.address, authkey=key) as connection:
        os.write(connection.fileno(), b"\0\0\0\x20{")  # and hangs up in the middle
    assert not (tmp_path / "boom").exists()
    goes_on()


def test_hundreds_who_call_and_say_nothing_do_not_stop_the_copy(
    engine: tuple[EngineHandle, Path, Path], goes_on: Callable[[], None]
) -> None:
    process = psutil.Process(engine[0].run.pid)
    threads = process.num_threads()
    with contextlib.ExitStack() as calls:
        for _ in range(600):
            calls.enter_context(call(engine[0]))
        assert until(lambda: process.num_threads() <= threads + 110)
        content = random.randbytes(60)
        replace(engine[1] / "9", content)
        assert until(lambda: (engine[2] / "9").exists() and (engine[2] / "9").read_bytes() == content)
    goes_on()
    assert until(lambda: process.num_threads() < threads + 10)


@pytest.mark.timeout(120)
def test_an_engine_that_was_stopped_hangs_nobody_however_many_have_called(
    engine: tuple[EngineHandle, Path, Path], goes_on: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ANSWER", 0.3)
    with halted(engine[0].run.pid), contextlib.ExitStack() as calls:
        while True:
            waiting = calls.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            try:
                waiting.connect(engine[0].run.address)
            except BlockingIOError:
                break
        for _ in range(3):
            with pytest.raises(EngineGone, match="does not answer"):
                EngineHandle(engine[0].run).snapshot()
    monkeypatch.undo()
    goes_on()


# -- an engine that is none --------------------------------------------------------------------------------


def asked(run: Any) -> str:
    """What a front end says of what it hears."""
    handle = EngineHandle(run)
    with pytest.raises((EngineGone, ValueError)) as caught:
        handle.snapshot()
    handle.close()
    return str(caught.value)


def admit(connection: Connection) -> None:
    deliver_challenge(connection, KEY)
    answer_challenge(connection, KEY)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ANSWER", 0.5)
    monkeypatch.setattr(client, "_END_TIMEOUT", 0.1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "what", ["silence", "the end", "nonsense", "a pickle", "two gigabytes", "a dribble", "another key"]
)
def test_an_engine_that_does_not_know_the_key_is_not_listened_to(
    short_timeouts: None, what: str, tmp_path: Path
) -> None:
    def talk(connection: Connection) -> None:
        match what:
            case "the end":
                connection.close()
            case "nonsense":
                connection.send_bytes(b"hello")
            case "a pickle":
                connection.send(Bomb(tmp_path / "boom"))
            case "two gigabytes":
                os.write(connection.fileno(), b"\x7f\xff\xff\xff" + b"x" * 1000)
            case "a dribble":
                for byte in b"\0\0\0\x1f#CHALLENGE#" + b"x" * 20:
                    os.write(connection.fileno(), bytes([byte]))
                    time.sleep(0.2)
            case "another key":
                with contextlib.suppress(AuthenticationError):
                    deliver_challenge(connection, b"another")

    with fake_engine(talk) as run:
        assert "does not answer" in asked(run)
    assert not (tmp_path / "boom").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["silence", "half a reply", "two gigabytes", "the end"])
def test_an_engine_that_falls_silent_is_not_waited_for(short_timeouts: None, what: str) -> None:
    def talk(connection: Connection) -> None:
        admit(connection)
        connection.recv_bytes()
        match what:
            case "half a reply":
                os.write(connection.fileno(), b"\0\0\1\0{")
            case "two gigabytes":
                os.write(connection.fileno(), b"\x7f\xff\xff\xff" + b"x" * 1000)
            case "the end":
                connection.close()

    with fake_engine(talk) as run:
        assert "does not answer" in asked(run)


@pytest.mark.parametrize("what", [*BAD_REPLIES, "a pickle"])
def test_what_is_no_reply_is_an_error_in_words_and_is_not_acted_upon(
    short_timeouts: None, what: str, tmp_path: Path
) -> None:
    answer = BAD_REPLIES.get(what) if what != "a pickle" else Bomb(tmp_path / "boom").pickled()
    assert answer is not None

    def talk(connection: Connection) -> None:
        admit(connection)
        while True:
            connection.recv_bytes()
            connection.send_bytes(answer)

    with fake_engine(talk) as run:
        assert asked(run)
        for command in ("status", "stop"):
            done = softcopy(command) if what in ("no reply", "too large a number", "a pickle") else None
            assert done is None or "Traceback" not in done.stderr
    assert not (tmp_path / "boom").exists()


def test_words_of_an_engine_cannot_steer_the_terminal() -> None:
    words = "\x1b]0;owned\x07\x1b[2J\r\n"
    why = {"code": "text", "text": f"[bold]{words}"}
    answer = reply(source=f"/a/[/red]{words}", why=why, notes=[{"code": words, "field": words}], id=words)

    def talk(connection: Connection) -> None:
        admit(connection)
        while True:
            connection.recv_bytes()
            connection.send_bytes(answer)

    with fake_engine(talk):
        done = softcopy("status")
    assert done.returncode == 0 and "[/red]" in done.stdout and "\x1b" not in done.stdout and "\x07" not in done.stdout
    assert threading.active_count() < 50
