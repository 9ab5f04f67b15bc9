"""What a benchmark has to tell: printed as it comes, and put into docs/dev/benchmarks.md with `--write`.

Each script writes `results/NAME.json`, which keeps its rows apart, so that one row can be measured again alone. The
page is made of all of them: what stands between the markers `<!-- figures: NAME -->` and `<!-- end -->` is replaced,
and the table of goals (`figures: goals`) is made anew.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import Others, machine, versions

RESULTS = Path(__file__).with_name("results")
PAGE = Path(__file__).parents[1] / "docs" / "dev" / "benchmarks.md"
ORDER = ["bulk", "live", "slowdown", "share", "memory", "growth", "dask_workers", "overlay", "napari_cost"]
"""In which `make bench` runs the scripts, and the table of goals lists what they found."""


@dataclass
class Report:
    """What one script tells.

    Parameters
    ----------
    name : str
        Of the script.
    options : argparse.Namespace
        With `write` and `scale`.
    rows : list of str
        In their order; what is told belongs to `row`.
    """

    name: str
    options: argparse.Namespace
    rows: list[str] = field(default_factory=lambda: [""])
    row: str = ""
    _found: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.options.write and self.options.quick:
            raise SystemExit("a part of it is not written: leave out --scale or --write")
        self._others = Others()
        self._where = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}; {versions()}."
        print(self._where, flush=True)

    def _here(self) -> Any:
        return self._found.setdefault(self.row, {"where": self._where, "lines": [], "goals": []})

    def write_line(self, text: str) -> None:
        """A paragraph."""
        print(text, flush=True)
        self._here()["lines"] += [text, ""]

    def table(self, title: str, columns: list[str], rows: list[list[Any]], others: Others | None = None) -> None:
        """A table, and what else ran meanwhile."""
        cells = [columns, ["---"] * len(columns), *[[str(cell) for cell in row] for row in rows]]
        text = "\n".join("| " + " | ".join(row) + " |" for row in cells)
        self.write_line(f"**{title}**" + (f" ({others})" if others else ""))
        self.write_line(text)

    def goal(self, what: str, goal: str, measured: str, met: bool) -> None:
        """Judge; where only a part of it was measured, not."""
        word = "not judged" if self.options.quick else "reached" if met else "**missed**"
        self._here()["goals"].append([what, goal, measured, word])
        print(f"goal: {what}: {goal}: {word} ({measured})", flush=True)

    def end(self) -> int:
        """Write, if that is asked for; returns the exit code: 1 where a goal was missed."""
        print(f"Took {self._others.elapsed:.0f} s.", flush=True)
        if self.options.write:
            path = RESULTS / f"{self.name}.json"
            before = json.loads(path.read_text()) if path.exists() else {}
            found = before | self._found
            RESULTS.mkdir(exist_ok=True)
            kept = {row: found[row] for row in ["", *self.rows] if row in found}
            path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
            write_page()
        return int(any(goal[-1] == "**missed**" for each in self._found.values() for goal in each["goals"]))


class _Scale(argparse.Action):
    """How much of it is measured; `quick` says whether less than all."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, value: Any, option: str | None = None) -> None:
        namespace.scale, namespace.quick = value, value < 1


def options(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """What all scripts can be asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/dev/benchmarks.md")
    parser.add_argument("--scale", type=float, default=1.0, action=_Scale, help="0.01: a hundredth of it, to try it")
    parser.set_defaults(quick=False)
    parser.add_argument("--folder", help="where to work  [/dev/shm]")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"[{value}]")
    return parser


def write_page() -> None:
    """Make docs/dev/benchmarks.md from all results that there are."""
    results = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    goals = ["| what | goal | measured | |", "|---|---|---|---|"]
    texts = {}
    for name in ORDER:
        rows = list(results.get(name, {}).values())
        goals += [f"| {' | '.join(goal)} |" for row in rows for goal in row["goals"]]
        told = [[row["where"], "", *row["lines"]] for row in rows]
        for number in range(len(told) - 1, 0, -1):  # where and with what is said once
            if rows[number]["where"] == rows[number - 1]["where"]:
                del told[number][:2]
        if told:
            texts[name] = "\n".join(line for lines in told for line in lines).strip()
    texts["goals"] = "\n".join(goals)

    def fill(match: re.Match[str]) -> str:
        text = texts.get(match[2], "No figures yet: `make bench` writes them.")
        return f"{match[1]}\n{text}\n{match[3]}"

    page = re.sub(r"(<!-- figures: (\w+) -->).*?(<!-- end -->)", fill, PAGE.read_text(), flags=re.DOTALL)
    PAGE.write_text(page)


if __name__ == "__main__":
    write_page()
