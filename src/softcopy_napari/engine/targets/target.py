"""What to copy where, and how: the keys of a targets file, the options of the command, the settings in Python.

`build.py` makes targets of two paths, `targets_file.py` of a file. Front ends give them to the engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.fs.permissions import AS_FOLDER, find_group, is_valid_permissions
from softcopy_napari.engine.targets import notify, rate_schedule
from softcopy_napari.engine.targets.notify import NotifySetting
from softcopy_napari.engine.targets.rate_schedule import FULL, RateSetting
from softcopy_napari.engine.targets.store_url import Destination, StoreUrl, StoreUrlError, is_store_url
from softcopy_napari.engine.targets.user_paths import absolute_path, check_path, written_destination, written_path
from softcopy_napari.engine.targets.value_text import value_text
from softcopy_napari.engine.wording import describe
from softcopy_napari.engine.zarr_layout.file_names import MARKER, is_marker_name

LINGER = 86400.0
"""Seconds for which copies that napari or `start()` began watch their sources on."""
_SCHEMES = ("tcp", "tls", "ws", "wss")
"""How a Dask scheduler may be reached."""
_SECONDS = "a number of seconds, 0 or more"


def _check_permissions(setting: str) -> str:
    if not is_valid_permissions(setting):
        raise PydanticCustomError("permissions", "unknown permissions")
    return setting


def _check_marker(name: str) -> str:
    if not is_marker_name(name):
        raise PydanticCustomError("marker", "no file name")
    return name


def _read_path(value: object, info: ValidationInfo) -> Path:
    """Make an absolute path of what a user wrote, if the context is the folder that relative paths start from.

    Without a context paths must be absolute, and are taken as they are.
    """
    if not isinstance(value, str | Path):
        raise PydanticCustomError("path", "no path")
    if info.context is not None:
        is_made = isinstance(value, Path) and value.is_absolute()
        return (absolute_path if is_made else written_path)(os.fspath(value), info.context)
    check_path(str(value))
    if not os.path.isabs(value):
        raise ValueError("is not an absolute path")
    return Path(value)


def _read_destination(value: object, info: ValidationInfo) -> Destination:
    """Make a destination of what a user wrote: as `_read_path`, but that it may be in an object store."""
    if isinstance(value, StoreUrl):
        return value
    is_made = isinstance(value, Path) and value.is_absolute()
    if isinstance(value, str | Path) and info.context is not None and not is_made:
        return written_destination(os.fspath(value), info.context)
    if isinstance(value, str) and is_store_url(value):
        try:
            return StoreUrl.parse(value)
        except StoreUrlError as error:
            raise ValueError(describe(error.reason)) from None
    return _read_path(value, info)


class FreeRule(BaseModel, frozen=True, extra="forbid", strict=True, allow_inf_nan=False):
    """When the source of a target is freed, and for how many days its files are kept."""

    after: Literal["verified"] = "verified"
    keep_days: float = Field(ge=0, lt=1e5)


def _read_free_rule(value: object) -> object:
    """Take a number for the days for which files are kept."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"keep_days": value} if is_number else value


def _read_scheduler(value: object, info: ValidationInfo) -> str | None:
    """Take the address of a scheduler as it is, and make the path of its file absolute."""
    if value is None:
        return None
    if not isinstance(value, str | Path):
        raise PydanticCustomError("dask", "no scheduler")
    text = os.fspath(value).strip()
    scheme, has_scheme, rest = text.partition("://")
    if has_scheme:
        if scheme not in _SCHEMES or not rest:
            raise PydanticCustomError("dask", "no scheduler")
        return text
    return str(_read_path(text, info))


DaskSetting = Annotated[str | None, PlainValidator(_read_scheduler)]
UserPath = Annotated[Path, PlainValidator(_read_path)]
UserDestination = Annotated[Destination, PlainValidator(_read_destination)]


class Settings(BaseModel, frozen=True, extra="forbid", strict=True, allow_inf_nan=False):
    """How a target is copied.

    Titles say what is allowed, as in "must be ..."; descriptions say what a setting means, as the help does.
    """

    dask: DaskSetting = Field(
        None,
        title="the address of a Dask scheduler, such as tcp://host:8786, or the path of its scheduler file",
        description="Work on the machines of a Dask cluster, which must see both folders.",
    )
    nprocs: int = Field(
        4, ge=1, le=64, title="a whole number from 1 to 64", description="Copy processes for each target."
    )
    sleep_time: float = Field(0.0, ge=0, title=_SECONDS, description="Seconds a copy process sleeps after each file.")
    wait_for_source: bool = Field(
        True, title="true or false", description="Wait for a source that does not exist yet, or fail."
    )
    kind: Literal["zarr", "folder"] = Field(
        "zarr",
        title="zarr or folder",
        description="What the source is: a zarr dataset, or a folder of any files (OME-TIFF, NDTiff, ...).",
    )
    marker: Annotated[str, AfterValidator(_check_marker)] = Field(
        MARKER,
        title="a file name that begins with no digit",
        description="Name of the file that the writer makes in the source when the acquisition is over.",
    )
    settle: float = Field(
        30.0,
        ge=0,
        title=_SECONDS,
        description="Seconds without a change before a source with all its chunks counts as finished.",
    )
    finish_idle: float | None = Field(
        None,
        ge=0,
        title=f"{_SECONDS}, or null for never",
        description="Treat the acquisition as finished after this many seconds without a change, even if chunks are "
        "missing.",
    )
    linger: float | None = Field(
        None,
        ge=0,
        title=f"{_SECONDS}, or null for the default",
        description="Keep watching the source for this many seconds after the copy is complete, and copy what changes.",
    )
    verify: Literal["size", "checksum"] = Field(
        "size",
        title="size or checksum",
        description="Verify by size and time, or also by reading back checksums.",
    )
    max_rate: RateSetting = Field(
        FULL,
        title=rate_schedule.DESCRIPTION,
        description='Speed limit: 200 MB/s, full, or by time of day as in "09:00-18:00: 50 MB/s, else: full".',
    )
    pace: Literal["auto", "full"] = Field(
        "auto", title="auto or full", description="Yield to the microscope (auto), or never (full)."
    )
    overwrite: bool = Field(False, title="true or false", description="Replace another dataset at the destination.")
    permissions: Annotated[str, AfterValidator(_check_permissions)] = Field(
        AS_FOLDER,
        title="folder, keep, group, or a mode such as 0664",
        description="Permissions of the copies: folder (as for any new file there), keep (the source's), group (as the "
        "destination's folder itself), or a mode like 0664.",
    )
    group: str | None = Field(
        None, title="the name of a group", description="Group of the copies, of which you must be a member."
    )
    links: Literal["keep", "copy"] = Field(
        "keep",
        title="keep or copy",
        description="Copy links out of the source as links, or copy what they lead to.",
    )
    notify: NotifySetting = Field(
        None,
        title=notify.DESCRIPTION,
        description="Where to send notifications, instead of the URLs in your preferences; off for nowhere.",
    )
    progress_file: bool = Field(
        True,
        title="true or false",
        description="Write a file beside the destination that tells other programs what is complete.",
    )

    free: Annotated[FreeRule | None, BeforeValidator(_read_free_rule)] = Field(
        None,
        title="a number of days, or {after: verified, keep_days: 7}, or null for never",
        description="Once the copy is complete and every byte is read back, move the source's files to a grace folder, "
        "to be deleted after this many days.",
    )


class Target(Settings, frozen=True):
    """One source and one destination: absolute paths, spelled as their user spelled them, or a place in a store."""

    source: UserPath = Field(title="a path", description="The acquisition folder. It need not exist yet.")
    destination: UserDestination = Field(
        title="a path",
        description="Where the copy goes: a folder, which is made if need be, or a place in an object store.",
    )
    check: bool = False
    """Whether both are only to be compared, and nothing copied. No targets file can say so."""
    by_content: bool = False
    """Whether a check reads files of equal size whose times differ. No targets file can say so."""
    detached: bool = False
    """Whether its engine outlives who started it. No targets file can say so."""

    @property
    def group_id(self) -> int:
        """The number of the group of its copies; -1 for the usual one, or if there is no such group here."""
        try:
            return -1 if self.group is None else find_group(self.group)
        except ValueError:
            return -1

    @property
    def processes_here(self) -> int:
        """How many copy processes it has on this computer: with a cluster one, for what must be seen from here."""
        return self.nprocs if self.dask is None else 1

    @property
    def is_folder(self) -> bool:
        """Whether its source is a folder of any files, and no zarr dataset."""
        return self.kind == "folder"

    @property
    def folder(self) -> Path:
        """The destination, for what can be done with folders only.

        Raises
        ------
        TargetsError
            It is in an object store.
        """
        if isinstance(self.destination, StoreUrl):
            raise TargetsError(f"the destination {self.destination} is in an object store: this needs a folder")
        return self.destination

    @property
    def linger_seconds(self) -> float:
        """Seconds for which its source is watched on once it is complete."""
        if self.linger is None:
            return LINGER if self.detached else 0.0
        return self.linger


PATHS = ("source", "destination")
KEYS = (*PATHS, *Settings.model_fields)
"""What a targets file can say of a target."""


def settings_of(target: Target) -> Settings:
    """Return a target's settings without the target."""
    return Settings.model_validate(target.model_dump(include=set(Settings.model_fields)))


def mistakes_of(error: ValidationError) -> dict[str, Mapping[str, Any]]:
    """Return the first mistake of each key that was refused."""
    mistakes: dict[str, Mapping[str, Any]] = {}
    for one in error.errors(include_url=False):
        mistakes.setdefault(str(one["loc"][0]), one)
    return mistakes


def reason_of(mistake: Mapping[str, Any]) -> ValueError | None:
    """Return what a validator of ours has raised, if that is the mistake."""
    reason = mistake.get("ctx", {}).get("error")
    return reason if isinstance(reason, ValueError) else None


def mistake_text(name: str, mistake: Mapping[str, Any]) -> str:
    """Say in one line what is wrong with a value; `name` is what its user calls it."""
    if reason := reason_of(mistake):
        return f"{name} {reason}"
    allowed = Target.model_fields[str(mistake["loc"][0])].title
    return f"{name} must be {allowed}, not {value_text(mistake['input'])}"


def settings_problem(error: ValidationError, prefix: str = "") -> str:
    """Say what is wrong with settings that were refused, a line each; the prefix stands before a setting's name.

    With the prefix of options, names are spelled as options are.
    """
    lines = []
    for key, mistake in mistakes_of(error).items():
        name = prefix + (key.replace("_", "-") if prefix == "--" else key)
        if key not in Settings.model_fields:
            lines.append(f"there is no setting {name}; there are {', '.join(Settings.model_fields)}")
        else:
            lines.append(mistake_text(name, mistake))
    return "\n".join(lines)


def targets_to_json(targets: Sequence[Target]) -> bytes:
    """Spell targets for another process, secrets and all; paths may hold bytes that are no text."""
    return json.dumps([target.model_dump() for target in targets], default=_spell).encode()


def _spell(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def targets_from_json(data: bytes) -> tuple[Target, ...]:
    """Read what `targets_to_json` wrote; anything else is a ValueError."""
    known = TypeAdapter(list[Target], config=ConfigDict(hide_input_in_errors=True))
    return tuple(known.validate_python(json.loads(data)))
