"""Write the documentation's tables of options, keys, metrics and fields from the program: `docs_options.py [--check]`.

What stands between `<!-- options: COMMAND -->`, `<!-- keys -->`, `<!-- metrics -->` or `<!-- fields: CLASS -->` and
`<!-- end -->` is replaced. With `--check` nothing is written; the exit code is 1 where a table is out of date.
`make docs` runs this. The JSON schema of `softcopy status --json` is written, too.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from softcopy_napari.cli import softcopy
from softcopy_napari.engine.protocol import messages
from softcopy_napari.engine.receipt.receipt import Receipt
from softcopy_napari.engine.states import ChunkState
from softcopy_napari.engine.targets.target import KEYS, Target
from softcopy_napari.terminal.metrics import EngineCollector
from softcopy_napari.terminal.status_report import StatusReport

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = DOCS / "status.schema.json"
PAGES = [DOCS / name for name in ("command.md", "targets-file.md", "metrics.md", "receipt.md", "python.md")]
CLASSES = {one.__name__: one for one in (messages.TargetSnapshot, messages.ArraySnapshot, ChunkState, Receipt)}
_TABLE = re.compile(r"<!-- (?P<kind>\w+)(?:: (?P<name>\w+))? -->.*?<!-- end -->", re.DOTALL)


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


def metrics_table() -> str:
    """Return the table of the metrics."""
    rows = [
        f"| `{one.name}{'_total' if one.type == 'counter' else ''}` | {one.documentation.removesuffix('.')} |"
        for one in EngineCollector(tuple).collect()
    ]
    return "\n".join(["| metric | meaning |", "|---|---|", *rows])


def documented(body: list[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    """Yield name, annotation or value, and docstring of what a class has for its users."""
    for one, following in zip(body, [*body[1:], None], strict=True):
        match one, following:
            case (ast.AnnAssign(target=ast.Name(id=name), annotation=kind), _) | (
                ast.Assign(targets=[ast.Name(id=name)], value=kind),
                _,
            ) if not name.startswith("_") and name != "model_config":
                match following:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield name, ast.unparse(kind), text
                    case _:
                        yield name, ast.unparse(kind), ""
            case ast.FunctionDef(name=name, decorator_list=[ast.Name(id="property")]), _:
                yield name, "", ast.get_docstring(one) or ""


def members(kind: type[Any]) -> list[tuple[str, str, str]]:
    """Return what a class has, with what it inherits from classes beside it."""
    inherited = [one for base in kind.__bases__ if base.__module__ == kind.__module__ for one in members(base)]
    (node,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(node, ast.ClassDef)
    return inherited + list(documented(node.body))


def fields_table(kind: type[Any]) -> str:
    """Return the table of a class's fields and properties, as their docstrings say."""
    rows = []
    for name, annotation, text in members(kind):
        meaning = " ".join(text.split()).removesuffix(".")
        for word in set(re.findall(r"[A-Z]\w+", annotation)) - {"None", *CLASSES}:
            within = getattr(messages, word, None)
            if inspect.isclass(within) and issubclass(within, messages.Message):
                meaning += f" ({', '.join(f'`{one}`' for one, _, _ in members(within))})"
        number = f" ({annotation})" if annotation.isdecimal() else ""
        rows.append(f"| `{name}`{number} | {meaning} |")
    return "\n".join([f"| {'state' if kind is ChunkState else 'field'} | meaning |", "|---|---|", *rows])


TABLES = {
    "options": options_table,
    "keys": lambda _: keys_table(),
    "metrics": lambda _: metrics_table(),
    "fields": lambda name: fields_table(CLASSES[name]),
}


def filled(page: str) -> str:
    """Return a page with its tables as the program is now."""

    def table(match: re.Match[str]) -> str:
        return f"{match[0].splitlines()[0]}\n{TABLES[match['kind']](match['name'])}\n<!-- end -->"

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
