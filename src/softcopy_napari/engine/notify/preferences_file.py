"""The preferences file `notify.yaml`: where notifications of all copies of a user go, if nothing else is said.

It lies in the user's configuration folder, is written by the dock and by hand, and is read by each engine. YAML is
imported only where there is such a file: most engines start without it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import platformdirs

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.fs.atomic_write import write_atomically
from softcopy_napari.engine.targets.notify import Notify, read_notify

CONFIG_FOLDER_VARIABLE = "SOFTCOPY_CONFIG_DIR"
"""Environment variable that puts the configuration folder elsewhere."""
_HEAD = "# Where softcopy sends notifications: docs/notifications.md. Only you should be able to read this file.\n"


def preferences_path() -> Path | None:
    """Return where the file is, or would be; None for a user without a home."""
    chosen = os.environ.get(CONFIG_FOLDER_VARIABLE)
    with contextlib.suppress(RuntimeError, KeyError, OSError):
        folder = Path(chosen) if chosen else platformdirs.user_config_path("softcopy-napari", appauthor=False)
        return folder.absolute() / "notify.yaml"
    return None


def read_preferences() -> Notify | None:
    """Read the file; None where there is none.

    Raises
    ------
    TargetsError
        It cannot be used. The message holds nothing of a URL.
    """
    path = preferences_path()
    if path is None or not path.exists():
        return None
    from softcopy_napari.engine.targets.yaml_reader import YamlFile, nested_value

    file = YamlFile(path)
    if file.root is None:
        return None
    try:
        said = read_notify(nested_value(file, file.root, ""))
    except ValueError as error:
        raise TargetsError(f"{file.name} {error}") from None
    file.raise_mistakes()
    return said


def write_preferences(said: Notify) -> Path:
    """Write the file, readable by its user only, and return where it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = preferences_path()
    if path is None:
        raise OSError("this user has no folder for settings")
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = _HEAD + yaml.safe_dump(said.plain(), sort_keys=False, allow_unicode=True)
    write_atomically(os.path.realpath(path), text.encode(), mode=0o600)
    return path
