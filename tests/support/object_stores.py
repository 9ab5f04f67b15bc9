"""Real S3 servers for tests, each in a process of its own: rclone's, and moto's. Nothing of them is simulated in here.

`boto3` is the witness of what lies in them: other code than the one under test. In front of either may stand a
`FaultProxy` (fault_proxy.py). Fixtures: object_store_fixtures.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

_ROOT = Path(__file__).parents[2]
KEY, SECRET = "test-key", "test-secret"
REGION = "us-east-1"
_LISTENING = re.compile(rb"http://127\.0\.0\.1:(\d+)")
_STARTING = 60.0
"""Seconds in which a server must say where it listens."""


class ObjectStore:
    """A running server that speaks S3.

    Attributes
    ----------
    endpoint : str
        Its own address. `url` takes another, such as that of a proxy before it.
    answers_ranges : bool
        Whether it says that a part of an object is one (HTTP 206); rclone says 200, which obstore does not believe.
    bucket : str
        A bucket that nobody else uses.
    """

    def __init__(self, endpoint: str, answers_ranges: bool = True) -> None:
        self.endpoint = endpoint
        self.answers_ranges = answers_ranges
        self.bucket = ""
        self._clients: dict[int, Any] = {}

    def make_bucket(self) -> str:
        """Make a bucket, which is this one's from now on."""
        self.bucket = f"bucket-{uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=self.bucket)
        return self.bucket

    def url(self, name: str, endpoint: str = "") -> str:
        """Return the address of a dataset in the bucket, as a user would write it."""
        return f"s3://{self.bucket}/{name}?endpoint={endpoint or self.endpoint}"

    def client(self, retries: int = 0) -> Any:
        """Return a client of other people's making, which tries so many times again."""
        import boto3
        from botocore.config import Config

        if retries in self._clients:
            return self._clients[retries]
        self._clients[retries] = boto3.client(  # which takes a while
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
            # rclone answers 500 to who reads an object while it is replaced. With checksums asked for, botocore breaks
            # on such an answer instead of trying again.
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1 + retries},
                response_checksum_validation="when_required",
            ),
        )
        return self._clients[retries]

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects in the bucket that begin so, in order."""
        return sorted(self._sizes(prefix))

    def objects(self, name: str) -> dict[str, bytes]:
        """Return all objects below a dataset's name, by their `/` separated path in it."""
        client, start = self.client(retries=4), f"{name}/"
        return {
            key[len(start) :]: client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in self.keys(start)
        }

    def read(self, key: str) -> bytes:
        """Read an object."""
        return bytes(self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def write(self, key: str, content: bytes) -> None:
        """Write an object, as another program would."""
        self.client().put_object(Bucket=self.bucket, Key=key, Body=content)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client().delete_object(Bucket=self.bucket, Key=key)

    def _sizes(self, prefix: str) -> dict[str, int]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", ())}


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[ObjectStore]:
    """Run `rclone serve s3` on a folder, of which each folder is a bucket; it checks signatures."""
    rclone = Path(sys.executable).with_name("rclone.exe" if os.name == "nt" else "rclone")
    command = [
        str(rclone), "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", f"{KEY},{SECRET}",
        "--config", os.devnull, str(folder),
    ]  # fmt: skip
    with _served(command, dict(os.environ)) as endpoint:
        yield ObjectStore(endpoint, answers_ranges=False)


@contextlib.contextmanager
def moto_server() -> Iterator[ObjectStore]:
    """Run moto's server, which keeps all in memory and takes any key."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _served(command, {**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": ""}) as endpoint:
        yield ObjectStore(endpoint)


def store_environment() -> dict[str, str]:
    """Return the variables by which programs know the servers' key, and ask nobody else for one."""
    return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}


@contextlib.contextmanager
def _served(command: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Run a server, and yield its endpoint once it says where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.serve_until_eof", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=_ROOT,
    )
    assert process.stdin is not None and process.stderr is not None
    found: list[str] = []
    said: list[bytes] = []
    listening = threading.Event()
    reader = threading.Thread(target=_drain, args=(process.stderr, said, found, listening), daemon=True)
    reader.start()
    try:
        listening.wait(_STARTING)
        if not found:
            raise RuntimeError(f"{command[0]} does not serve: {b''.join(said).decode(errors='replace')}")
        yield found[0]
    finally:
        process.stdin.close()
        process.wait()
        reader.join()
        process.stderr.close()


def _drain(pipe: IO[bytes], said: list[bytes], found: list[str], listening: threading.Event) -> None:
    """Read what a server says to the end, so that it never waits for room in the pipe."""
    for line in pipe:
        if not found:
            said.append(line)
            if port := _LISTENING.search(line):
                found.append(f"http://127.0.0.1:{int(port[1])}")
                listening.set()
    listening.set()
