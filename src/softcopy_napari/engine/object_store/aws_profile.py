"""Profiles of AWS's own tools: settings and keys of the files that these write.

Keys that a profile gets from elsewhere (a login by SSO, a role, a program) are found by boto3, where it is installed.
"""

from __future__ import annotations

import configparser
import datetime
import os
from pathlib import Path
from typing import Any

_KEYS_FOR = 60.0
"""Seconds for which credentials are used before they are asked for again."""
_FROM_ELSEWHERE = ("sso_session", "sso_start_url", "role_arn", "credential_process")


class AwsProfile:
    """A profile; its call returns its credentials as they are now, as obstore asks for them now and then.

    Parameters
    ----------
    name : str

    Attributes
    ----------
    settings : dict of str to str
        What the files say of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.settings = self._read()

    @property
    def gives_keys(self) -> bool:
        """Whether there are credentials of its own."""
        return "aws_access_key_id" in self.settings or self._asks_elsewhere

    @property
    def _asks_elsewhere(self) -> bool:
        return any(name in self.settings for name in _FROM_ELSEWHERE)

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        files = (
            (os.environ.get("AWS_CONFIG_FILE") or Path("~/.aws/config"), "profile "),
            (os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path("~/.aws/credentials"), ""),
        )
        for place, prefix in files:
            parser = configparser.ConfigParser(interpolation=None)
            try:
                parser.read(Path(place).expanduser())
                section = self._name if self._name == "default" else prefix + self._name
                found |= dict(parser[section])
            except (configparser.Error, KeyError, OSError, RuntimeError, ValueError):
                continue
        return found

    def __call__(self) -> dict[str, Any]:
        """Return the credentials that the profile gives now.

        Raises
        ------
        RuntimeError
            It gives none; says why.
        """
        self.settings = self._read() or self.settings
        keys = self._ask_elsewhere() if self._asks_elsewhere else self._keys_in_files()
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=_KEYS_FOR)
        return {**keys, "expires_at": until}

    def _keys_in_files(self) -> dict[str, Any]:
        return {
            "access_key_id": self.settings.get("aws_access_key_id", ""),
            "secret_access_key": self.settings.get("aws_secret_access_key", ""),
            "token": self.settings.get("aws_session_token"),
        }

    def _ask_elsewhere(self) -> dict[str, Any]:
        try:
            import boto3

            found = boto3.Session(profile_name=self._name).get_credentials().get_frozen_credentials()
        except ImportError:
            raise RuntimeError(
                f"profile {self._name} gives no keys: its kind takes boto3 (pip install boto3)"
            ) from None
        except Exception as error:  # whatever it asks, and however that fails
            words = " ".join(str(error).split())
            raise RuntimeError(f"profile {self._name} gives no keys: {words}") from None
        return {"access_key_id": found.access_key, "secret_access_key": found.secret_key, "token": found.token}
