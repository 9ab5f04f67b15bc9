"""Who may read what is copied: never more people than at the source, where permissions are kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from softcopy_napari.engine.fs import permissions
from softcopy_napari.engine.fs.permissions import AS_SOURCE, NEVER_BY_GROUP, find_group, modes_for, narrowed_mode
from softcopy_napari.engine.fs.root_folder import RootFolder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")


def made(mode: int, group: int) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, 0, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "same_group", "kept"),
    [
        (0o640, True, 0o640),
        (0o640, False, 0o600),
        (0o664, False, 0o644),
        (0o660, False, 0o600),
        (0o644, False, 0o644),
        (0o604, False, 0o604),
        (0o2750, False, 0o2700),
    ],
)
def test_another_group_gets_what_everybody_has(mode: int, same_group: bool, kept: int) -> None:
    found = narrowed_mode(made(mode, 5 if same_group else 6), 5, AS_SOURCE)
    assert (mode if found is None else found) == kept


def test_where_a_folder_has_a_default_acl_the_group_bits_are_for_others_too() -> None:
    assert narrowed_mode(made(0o640, 5), 5, NEVER_BY_GROUP) == 0o600


@pytest.mark.parametrize(
    ("setting", "modes"),
    [
        ("folder", (0o666, 0o777)),
        ("keep", (AS_SOURCE, AS_SOURCE)),
        ("source", (AS_SOURCE, AS_SOURCE)),
        ("group", (0o660, 0o2770 & 0o777)),
        ("0640", (0o640, 0o750)),
    ],
)
def test_what_the_settings_mean(setting: str, modes: tuple[int, int]) -> None:
    assert modes_for(setting, 0o2770) == modes


def test_new_folders_are_like_those_of_the_source_and_never_wider(tmp_path: Path) -> None:
    for name, mode in (("open", 0o755), ("open/shut", 0o700), ("read-only", 0o555)):
        (tmp_path / "source" / name).mkdir(parents=True, mode=0o755)
        (tmp_path / "source" / name).chmod(mode)
    (tmp_path / "copy").mkdir()
    source = RootFolder(str(tmp_path / "source"))
    copy = RootFolder(str(tmp_path / "copy"), "keep", like=source)
    before = os.umask(0)
    try:
        for side in (source, copy):
            side.open()
        for folder in ("open/shut", "read-only"):
            copy.enter_folder(folder, make=True)
    finally:
        os.umask(before)
        for side in (source, copy):
            side.close()
    modes = {
        name: stat.S_IMODE((tmp_path / "copy" / name).stat().st_mode) for name in ("open", "open/shut", "read-only")
    }
    assert modes == {"open": 0o755, "open/shut": 0o700, "read-only": 0o755}, "it has to be filled"


def test_a_group_is_found_by_its_name_and_number_if_its_user_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import grp

    own = grp.getgrgid(os.getegid())
    assert find_group(own.gr_name) == find_group(str(own.gr_gid)) == own.gr_gid
    with pytest.raises(ValueError, match="no such group"):
        find_group("no such group")
    monkeypatch.setattr(permissions.os, "geteuid", lambda: 1000)
    with pytest.raises(ValueError, match="not in that group"):
        find_group("987654")
