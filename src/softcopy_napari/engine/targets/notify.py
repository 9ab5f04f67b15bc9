"""Where notifications go and which: the value of `notify` in a targets file, in notify.yaml, on the command line.

URLs are Apprise's and often hold a password: they are kept as secrets, which show in no log, message or snapshot. What
stands in for one, `env:NAME`, is no secret: only the process that sends looks the variable up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, PlainSerializer, PlainValidator, SecretStr, WithJsonSchema

OFF = "off"
"""The word for no notifications at all, whatever the preferences say."""
DESCRIPTION = "a notification URL, env:NAME, a list of them, off, or urls, events, paused_minutes and quiet_minutes"
_ENV = "env:"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_VARIABLE = re.compile(_ENV + r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_URLS = 32
_LONGEST_URL = 4096
_MOST_MINUTES = 60 * 24 * 366


class NotifyEvent(StrEnum):
    """What a notification can be about."""

    DONE = "done"
    """A copy is complete."""
    FAILED = "failed"
    """A copy has ended without being complete."""
    PAUSED = "paused"
    """Something keeps a copy from going on: the destination is full or away, the source is gone, a disk hangs."""
    NO_SPACE = "no_space"
    """A disk will be full before the acquisition is over."""
    QUIET = "quiet"
    """Nothing comes from the microscope, although its acquisition is not known to be over."""
    DIED = "died"
    """The process that copies has gone: it crashed, or the system ended it."""
    NOT_FREED = "not_freed"
    """A source was not freed although its settings say so."""


EVENTS = tuple(NotifyEvent)


class Notify(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Where notifications go, and which; None where that is not said here."""

    urls: tuple[SecretStr, ...] | None = None
    """Apprise URLs, or `env:NAME`; empty for nowhere."""
    events: tuple[NotifyEvent, ...] | None = None
    paused_minutes: float | None = None
    """Minutes for which a copy is kept from going on before that is told."""
    quiet_minutes: float | None = None
    """Minutes without anything new at the source before that is told."""

    def over(self, other: Notify | None) -> Notify:
        """Return this, with what it does not say as the other one says it."""
        if other is None:
            return self
        return self.model_copy(update={name: value for name, value in other if getattr(self, name) is None})

    def without_secrets(self) -> Notify:
        """Return what may be written down: of the URLs those that are `env:NAME`; None for them if none is."""
        if not self.urls:
            return self
        kept = tuple(url for url in self.urls if is_variable(url.get_secret_value()))
        return self.model_copy(update={"urls": kept or None})

    def plain(self) -> dict[str, Any]:
        """Return it as a targets file has it, secrets and all."""
        found: dict[str, Any] = {}
        if self.urls is not None:
            found["urls"] = [url.get_secret_value() for url in self.urls]
        if self.events is not None:
            found["events"] = [str(event) for event in self.events]
        minutes = {"paused_minutes": self.paused_minutes, "quiet_minutes": self.quiet_minutes}
        return found | {name: value for name, value in minutes.items() if value is not None}


class NotifyRules(NamedTuple):
    """What counts for one target, with nothing left open."""

    urls: tuple[SecretStr, ...]
    events: frozenset[NotifyEvent]
    paused: float
    """Seconds."""
    quiet: float
    """Seconds."""


DEFAULTS = Notify(urls=(), events=EVENTS, paused_minutes=10.0, quiet_minutes=60.0)
"""What counts where nobody says anything."""


def notify_rules(*said: Notify | None) -> NotifyRules:
    """Return what counts, of what was said in several places: the first that says something of a thing wins."""
    whole = Notify()
    for one in (*said, DEFAULTS):
        whole = whole.over(one)
    return NotifyRules(
        whole.urls or (),
        frozenset(whole.events or ()),
        60.0 * (whole.paused_minutes or 0.0),
        60.0 * (whole.quiet_minutes or 0.0),
    )


def is_variable(url: str) -> bool:
    """Whether it names an environment variable that holds the URL."""
    return url.startswith(_ENV)


def variable_of(url: str) -> str:
    """Return the name of the environment variable that holds the URL."""
    return url.removeprefix(_ENV)


def url_name(url: str) -> str:
    """Return what a URL may be called where others can read it: its kind, and nothing behind that."""
    return url if is_variable(url) else f"{url.partition('://')[0]}://..."


def read_notify(value: object) -> Notify | None:
    """Read the value of `notify`; None says nothing.

    Raises
    ------
    ValueError
        It cannot be used. The message holds nothing of a URL.
    """
    match value:
        case None | Notify():
            return value
        case False | "off":
            return Notify(urls=())
        case Mapping():
            return _read_mapping(value)
        case str() | SecretStr():
            return Notify(urls=(_read_url(value, ""),))
        case Sequence():
            return Notify(urls=_read_urls(value))
    raise ValueError(f"must be {DESCRIPTION}")


def _read_mapping(value: Mapping[Any, Any]) -> Notify:
    if not set(value) <= set(Notify.model_fields):  # it is not named: a URL that was indented wrongly is one, too
        raise ValueError(f"has a key that is not known; known keys are {', '.join(Notify.model_fields)}")
    urls = value.get("urls")
    if urls is not None:
        urls = () if urls is False or urls == OFF else _read_urls([urls] if isinstance(urls, str) else urls)
    return Notify(
        urls=urls,
        events=_read_events(value.get("events")),
        paused_minutes=_read_minutes("paused_minutes", value.get("paused_minutes")),
        quiet_minutes=_read_minutes("quiet_minutes", value.get("quiet_minutes")),
    )


def _read_urls(value: object) -> tuple[SecretStr, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError(f"must be {DESCRIPTION}")
    if len(value) > _MOST_URLS:
        raise ValueError(f"has more than {_MOST_URLS} URLs")
    if list(value) == [OFF]:
        return ()
    return tuple(_read_url(url, f" {number}" if len(value) > 1 else "") for number, url in enumerate(value, 1))


def _read_url(value: object, which: str) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or len(text) > _LONGEST_URL:
        raise ValueError(f"has a URL{which} that is not text, or too long")
    text = text.strip()
    if is_variable(text):
        if not _VARIABLE.fullmatch(text):
            raise ValueError(f"has a URL{which} that names no environment variable; write env:NAME")
    elif not _URL.fullmatch(text):
        raise ValueError(f"has a URL{which} that is not one; write it as in ntfy://ntfy.sh/TOPIC, or env:NAME")
    return SecretStr(text)


def _read_events(value: object) -> tuple[NotifyEvent, ...] | None:
    if value is None:
        return None
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, Sequence) or not all(isinstance(one, str) and one in EVENTS for one in named):
        raise ValueError(f"must have events of {', '.join(EVENTS)}")
    return tuple(NotifyEvent(one) for one in dict.fromkeys(named))


def _read_minutes(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"must have a number of minutes as {name}")
    if not 0 <= value <= _MOST_MINUTES:
        raise ValueError(f"must have 0 to {_MOST_MINUTES:,} minutes as {name}")
    return float(value)


def _told(value: Notify | None) -> dict[str, Any] | None:
    return None if value is None else value.without_secrets().plain()


NotifySetting = Annotated[
    Notify | None,
    PlainValidator(read_notify),
    PlainSerializer(_told, when_used="json"),
    WithJsonSchema({"type": ["object", "null"]}),
]
"""The setting. As JSON, which is what leaves the process that was told, it has no secrets."""
