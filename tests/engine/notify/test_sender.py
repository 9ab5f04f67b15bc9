"""What the process that sends says of a failure holds nothing of a URL."""

from __future__ import annotations

import pytest

from softcopy_napari.engine.notify.sender import hide_secrets


@pytest.mark.parametrize(
    "url",
    [
        "slack://TokenAAAA/TokenBBBB/TokenCCCC",
        "mailto://TokenAAAA:TokenBBBB@mail.example?to=TokenCCCC",
        "json://host.example/Token%41AAA/?key=TokenBBBB&pass=TokenCCCC#TokenDDDD",
    ],
)
def test_no_part_of_a_url_is_in_what_a_service_says(url: str) -> None:
    said = f"Max retries exceeded with url: {url} (Caused by TokenAAAA, TokenBBBB and TokenCCCC\nat TokenDDDD)"
    shown = hide_secrets(said, url + "#TokenDDDD")
    assert "Token" not in shown and "\n" not in shown
    assert shown.startswith("Max retries exceeded with url: ")


def test_what_is_said_at_length_is_cut() -> None:
    assert len(hide_secrets("no " * 1000, "json://host")) == 300
