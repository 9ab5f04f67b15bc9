"""Targets files of any kind: targets, or a clear line a mistake; nothing in them runs, grows, or takes for ever."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.targets.target import Settings
from softcopy_napari.engine.targets.targets_file import load_targets
from tests.security.support import JSON, changed
from tests.support.command import softcopy

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = (
    *("targets", "source", "destination", "nprocs", "settle", ": ", ":", "- ", "-", "\n", "\n  ", "\n    ", "{", "}"),
    *(
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "<<",
        "!!binary ",
        "!!python/name:os.system",
        "!!set",
        "!<",
        "%YAML 9.9",
        "---",
        "...",
    ),
    *(
        "'",
        '"',
        "\\",
        '"\\U00110000"',
        '"\\ud800"',
        "|",
        ">",
        "?",
        "@",
        "`",
        "#",
        "\t",
        "\0",
        "\x85",
        "\u2028",
        "\ufeff",
    ),
    *("/a", "/b", "~", "~x", "..", ".nan", "-.inf", "1e999", "0x" + "f" * 200, "1:1:1", "2024-13-01", "null", "yes"),
)
DOCUMENT = {
    "targets": [
        {"source": "/a", "destination": "/b", "nprocs": 2, "sleep_time": 0.5, "wait_for_source": True},
        {"source": "/c", "destination": "/d", "settle": 3, "finish_idle": None},
    ]
}
MANY = 30_000
BOMBS = {
    "laughs": "a: &a [x]\n"
    + "".join(f"{b}: &{b} [{f'*{a},' * 9}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "merges": "targets:\n- &a {" + ", ".join(f"k{n}: 1" for n in range(3000)) + "}\n" + "- {<<: *a}\n" * 3000,
    "itself": "targets: &a\n- *a\n",
    "lists": "[" * 5000,
    "mappings": "{" * 5000,
    "sequences": "- " * 5000,
    "indents": "".join(f"{' ' * n}a:\n" for n in range(700)),
    "digits": "targets:\n- source: " + "1" * MANY,
    "base 60": "targets:\n- {source: /a, destination: /b, nprocs: " + "1:" * MANY + "1}",
    "float of base 60": "targets:\n- {source: /a, destination: /b, settle: " + "1:" * MANY + "1.0}",
    "version": "%YAML " + "1" * 6000 + ".1\n---\na: 1",
    "character": 'targets:\n- source: "\\UFFFFFFFF"',
    "long name": "*" + "x" * MANY,
    "long key": "x" * MANY + ": 1",
}


def load(path: Path, content: bytes) -> str:
    """Load a targets file; returns what is said of it."""
    path.write_bytes(content)
    try:
        for target in load_targets(path, Settings()):
            assert target.source.is_absolute() and "\0" not in str(target.destination)
    except TargetsError as error:
        words = str(error)
    else:
        return ""
    lines = words.splitlines()
    assert 0 < len(lines) <= 31
    assert all(line.isprintable() and len(line) < 1000 and str(path) in line for line in lines)
    return words


@same_folder
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25).map("".join) | st.text())
def test_text_of_any_kind_is_a_targets_file_or_one_clear_line(tmp_path: Path, text: str) -> None:
    load(tmp_path / "targets.yaml", text.encode("utf-8", "surrogatepass"))


@same_folder
@given(st.binary(max_size=99), st.sampled_from((b"", b"targets:\n- ", b"\xff\xfe", b"\xef\xbb\xbf", b"\0\0\xfe\xff")))
def test_bytes_of_any_kind_are_a_targets_file_or_one_clear_line(tmp_path: Path, content: bytes, start: bytes) -> None:
    load(tmp_path / "targets.yaml", start + content)


@same_folder
@given(changed(st.just(DOCUMENT)) | JSON)
def test_structures_of_any_kind_are_a_targets_file_or_one_clear_line(tmp_path: Path, content: Any) -> None:
    load(tmp_path / "targets.yaml", json.dumps(content).encode())
    load(tmp_path / "targets.yaml", yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(120)
def test_a_bomb_is_one_clear_line(name: str, tmp_path: Path) -> None:
    assert load(tmp_path / "targets.yaml", BOMBS[name].encode())


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!!python/name:os.mkdir", "!mkdir", "!!map"],
)
def test_a_tag_runs_nothing(tag: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    for value in (f"{tag} [{made}]", f"{tag} {made}", f"{tag} {{path: {made}}}"):
        for text in (f"targets:\n- source: {value}\n  destination: /b", f"targets: {value}", value, f"{value}: 1"):
            assert load(tmp_path / "targets.yaml", text.encode())
    assert not made.exists()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "latin-1", "cp037"])
def test_another_encoding_is_one_clear_line(encoding: str, tmp_path: Path) -> None:
    text = "targets:\n- source: /mikroskop/größe\n  destination: /b\n"
    assert load(tmp_path / "targets.yaml", text.encode(encoding))


@pytest.mark.skipif(os.name != "posix", reason="devices")
def test_a_file_without_an_end_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").symlink_to("/dev/zero")
    done = softcopy(tmp_path / "targets.yaml")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "too large" in done.stderr
