"""The command `softcopy notify-test`: sends a notification to each URL, and says what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from softcopy_napari.engine.errors import TargetsError
from softcopy_napari.engine.notify.failure_record import forget_problem
from softcopy_napari.engine.notify.message_text import trial_text
from softcopy_napari.engine.notify.preferences_file import preferences_path, read_preferences
from softcopy_napari.engine.notify.sending import Sending
from softcopy_napari.engine.targets.notify import read_notify, url_name
from softcopy_napari.engine.wording import describe
from softcopy_napari.terminal.styled import print_line


def try_notifications(urls: Sequence[str]) -> int:
    """Send a notification to these URLs, or to those of the preferences; returns 0 if all of them took it, else 1.

    Raises
    ------
    TargetsError
        There is no URL, or one that is none.
    """
    try:
        said = read_notify(list(urls)) if urls else read_preferences()
    except ValueError as error:
        raise TargetsError(f"notify-test {error}") from None
    wanted = said.urls if said is not None else None
    if not wanted:
        raise TargetsError(
            "there is no URL to try: give one, as in softcopy notify-test ntfy://ntfy.sh/TOPIC, "
            f"or write yours into {preferences_path()}"
        )
    refused = {one.url: one for one in Sending(wanted, trial_text()).wait()}
    for number, url in enumerate(wanted, 1):
        name = url_name(url.get_secret_value()) + (f" (URL {number})" if len(wanted) > 1 else "")
        if url in refused:
            print_line("Failed", "red", end=f"  {name}: {describe(refused[url].problem)}")
        else:
            print_line("Sent", "green", end=f"  {name}. Check that it arrived")
    if not refused:
        forget_problem()
    return int(bool(refused))
