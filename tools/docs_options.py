"""Write the documentation's tables of options and keys from the program itself: `docs_options.py [--check]`.

What stands between `<!-- options: COMMAND -->` or `<!-- keys -->` and `<!-- end -->` is replaced. With `--check`
nothing is written; the exit code is 1 where a table is out of date. `make docs` runs this. The JSON schema of
`softcopy status --json` is written, too.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from softcopy_napari.cli import softcopy
from softcopy_napari.engine.targets.target import KEYS, Target
from softcopy_napari.terminal.status_report import StatusReport

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = DOCS / "status.schema.json"
PAGES = [DOCS / "command.md", DOCS / "targets-file.md"]
_TABLE = re.compile(r"<!-- (?:options: (?P<command>\w+)|keys) -->.*?<!-- end -->", re.DOTALL)


def spelled(default: object) -> str:
    """Return a default as users write it."""
    words = {True: "`true`", False: "`false`", None: "`null`"}
    if default is None or isinstance(default, bool):
        return words[default]
    return f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`"


def meaning(option: click.Option) -> str:
    """Return an option's help without its default."""
    text = re.sub(r"\s*\[default: [^\]]*\]", "", option.help or "").strip()
    return text.replace("|", "\\|")


def choices(option: click.Option) -> str:
    """Return the words that an option takes, where it takes only some."""
    if not isinstance(option.type, click.Choice):
        return ""
    return " or ".join(f"`{word}`" for word in option.type.choices) + ": "


def option_row(option: click.Option, with_meaning: bool) -> str:
    """Return an option's row in the table of a command."""
    names = [name for name in [*option.opts, *option.secondary_opts] if name.startswith("--")]
    word = "" if option.is_flag else " WORD" if choices(option) else f" {option.metavar or option.type.name.upper()}"
    stated = re.search(r"\[default: ([^\]]*)\]", option.help or "")
    unset = "off" if option.is_flag and not option.secondary_opts else ""
    default = stated[1] if stated else spelled(option.default) if option.show_default else unset
    text = meaning(option)
    if choices(option):
        text = choices(option) + text[:1].lower() + text[1:]
    cell = ", ".join(f"`{name}{word}`" for name in names)
    return f"| {cell} | {default} | {text} |" if with_meaning else f"| {cell} | {default} |"


def options_table(command: str) -> str:
    """Return the table of a command's options; those of a copy are settings, whose meaning the table of keys has."""
    params = list(softcopy.commands[command].params)
    is_copy = command == "copy"
    if is_copy:  # `softcopy --help` is the only one that people look for
        params.append(softcopy.get_help_option(click.Context(softcopy)))
    options = [one for one in params if isinstance(one, click.Option) and not one.hidden]
    head = ["| option | default |", "|---|---|"] if is_copy else ["| option | default | meaning |", "|---|---|---|"]
    return "\n".join([*head, *(option_row(one, not is_copy) for one in options)])


def keys_table() -> str:
    """Return the table of a targets file's keys."""
    rows = []
    for name in KEYS:
        field = Target.model_fields[name]
        default = "required" if field.is_required() else spelled(field.default)
        rows.append(f"| `{name}` | {field.title} | {default} | {field.description} |")
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])


def filled(page: str) -> str:
    """Return a page with its tables as the command is now."""

    def table(match: re.Match[str]) -> str:
        text = options_table(match["command"]) if match["command"] else keys_table()
        return f"{match[0].splitlines()[0]}\n{text}\n<!-- end -->"

    return _TABLE.sub(table, page)


def schema() -> str:
    """Return the JSON schema of the status."""
    found = StatusReport.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=2) + "\n"


def read(path: Path) -> str:
    """Return the text of a file; nothing where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    """Write the tables and the schema, or check them; return the exit code."""
    wanted = {page: filled(read(page)) for page in PAGES} | {SCHEMA: schema()}
    stale = [path for path, text in wanted.items() if read(path) != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"docs/{path.name} is not what the command has; run `make docs`", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
