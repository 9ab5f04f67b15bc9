"""What a benchmark has to tell: printed as it comes, and put into docs/dev/benchmarks.md with `--write`.

Each script writes `results/NAME.json`. The page is made of all of them: what stands between the markers
`<!-- figures: NAME -->` and `<!-- end -->` is replaced, and the table of goals (`figures: goals`) is made anew.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common import Others, machine, versions

RESULTS = Path(__file__).with_name("results")
PAGE = Path(__file__).parents[1] / "docs" / "dev" / "benchmarks.md"
ORDER = ["bulk", "live", "burst", "slowdown", "idle", "memory", "growth", "overlay", "napari_cost"]
"""In which `make bench` runs the scripts, and the table of goals lists what they found."""


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals."""

    what: str
    goal: str
    measured: str
    met: bool | None
    """None where too little was done to judge."""


@dataclass
class Report:
    """What one script tells.

    Parameters
    ----------
    name : str
        Of the script.
    options : argparse.Namespace
        With `write` and `quick`.
    """

    name: str
    options: argparse.Namespace
    lines: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._others = Others()
        self.say(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}; {versions()}.")

    def say(self, text: str = "") -> None:
        """A paragraph."""
        print(text, flush=True)
        self.lines += [text, ""]

    def table(self, title: str, columns: list[str], rows: list[list[Any]], others: Others | None = None) -> None:
        """A table, and what else ran meanwhile."""
        cells = [columns, ["---"] * len(columns), *[[str(cell) for cell in row] for row in rows]]
        text = "\n".join("| " + " | ".join(row) + " |" for row in cells)
        print(f"\n{title}\n{text}\n{others or ''}", flush=True)
        self.lines += [f"**{title}**" + (f" ({others})" if others else ""), "", text, ""]

    def goal(self, what: str, goal: str, measured: str, met: bool) -> None:
        """Judge."""
        self.goals.append(Goal(what, goal, measured, None if self.options.quick else met))
        word = "too little was done to judge" if self.options.quick else "reached" if met else "MISSED"
        print(f"goal: {what}: {goal}: {word} ({measured})", flush=True)

    def end(self) -> int:
        """Write, if that is asked for; returns the exit code: 1 where a goal was missed."""
        self.say(f"Took {self._others.elapsed:.0f} s; {self._others}.")
        if self.options.write:
            RESULTS.mkdir(exist_ok=True)
            result = {"text": "\n".join(self.lines), "goals": [asdict(goal) for goal in self.goals]}
            (RESULTS / f"{self.name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
            write_page()
        return int(any(goal.met is False for goal in self.goals))


def options(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """What all scripts can be asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/dev/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="a fraction of it, too little to judge by")
    parser.add_argument("--folder", help="where to work  [/dev/shm]")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"[{value}]")
    return parser


def write_page() -> None:
    """Make docs/dev/benchmarks.md from all results that there are."""
    results = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    rows = ["| what | goal | measured | |", "|---|---|---|---|"]
    for name in ORDER:
        for goal in results.get(name, {"goals": []})["goals"]:
            word = {True: "reached", False: "**missed**", None: "not judged"}[goal["met"]]
            rows.append(f"| {goal['what']} | {goal['goal']} | {goal['measured']} | {word} |")
    texts = {name: result["text"].strip() for name, result in results.items()} | {"goals": "\n".join(rows)}

    def fill(match: re.Match[str]) -> str:
        text = texts.get(match[2], "No figures yet: `make bench` writes them.")
        return f"{match[1]}\n{text}\n{match[3]}"

    page = re.sub(r"(<!-- figures: (\w+) -->).*?(<!-- end -->)", fill, PAGE.read_text(), flags=re.DOTALL)
    PAGE.write_text(page)


if __name__ == "__main__":
    write_page()
