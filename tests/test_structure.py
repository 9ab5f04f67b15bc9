"""What makes the code easy to find one's way in: held by tests, for habits do not last."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src").rglob("*.py"))
LONGEST = 400
"""Lines of a module."""
STOPS = 12
"""Modules that a chunk file passes from event to overlay."""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT / "src")))
def test_a_module_is_short_and_says_what_it_is_for(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert (ast.get_docstring(ast.parse(text)) or "").strip(), "its first line says its purpose"


def test_the_tour_walks_few_modules_each_with_the_functions_that_it_names() -> None:
    tour = (ROOT / "docs/dev/tour.md").read_text(encoding="utf-8")
    stops = re.findall(r"^\*\*\d+\. `(\w+)\.py`\*\* \(`([\w/]+)`\)\. (.*?)\n\n", tour, re.MULTILINE | re.DOTALL)
    assert 0 < len(stops) <= STOPS
    assert len(tour.splitlines()) <= 120
    for name, package, text in stops:
        code = (ROOT / "src/softcopy_napari" / package / f"{name}.py").read_text(encoding="utf-8")
        for named in re.findall(r"`(?:\w+\.)?(_?[a-z]+(?:_[a-z]+)+|_[a-z]+)`", text):
            assert f"def {named}(" in code, f"{name}.py has no {named}()"
