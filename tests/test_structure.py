"""What makes the code easy to find one's way in: held by tests, for habits do not last."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src").rglob("*.py"))
LONGEST = 400
"""Lines of a module."""
STOPS = 12
"""Modules that a chunk file passes from event to overlay."""


def test_a_module_is_short_and_says_what_it_is_for() -> None:
    modules = {str(module.relative_to(ROOT)): module.read_text(encoding="utf-8") for module in MODULES}
    assert len(modules) > 300
    assert [name for name, text in modules.items() if len(text.splitlines()) > LONGEST] == []
    silent = [name for name, text in modules.items() if not (ast.get_docstring(ast.parse(text)) or "").strip()]
    assert silent == [], "its first line says its purpose"


def test_the_tour_walks_few_modules_each_with_the_functions_that_it_names() -> None:
    tour = (ROOT / "docs/dev/tour.md").read_text(encoding="utf-8")
    stops = re.findall(r"^\*\*\d+\. `(\w+)\.py`\*\* \(`([\w/]+)`\)\. (.*?)\n\n", tour, re.MULTILINE | re.DOTALL)
    assert 0 < len(stops) <= STOPS
    assert len(tour.splitlines()) <= 120
    for name, package, text in stops:
        code = (ROOT / "src/softcopy_napari" / package / f"{name}.py").read_text(encoding="utf-8")
        for named in re.findall(r"`(?:\w+\.)?(_?[a-z]+(?:_[a-z]+)+|_[a-z]+)`", text):
            assert f"def {named}(" in code, f"{name}.py has no {named}()"
