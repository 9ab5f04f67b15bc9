"""The documentation says what the program does: names, options, examples and links are held against the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

import softcopy_napari
from softcopy_napari import cli
from softcopy_napari.engine.client import Copy
from softcopy_napari.engine.protocol.message import Message
from softcopy_napari.engine.protocol.messages import ArraySnapshot, Failure, TargetSnapshot
from softcopy_napari.engine.receipt.receipt import Receipt
from softcopy_napari.engine.states import ChunkState, TargetState
from softcopy_napari.engine.targets.target import Settings, Target
from softcopy_napari.engine.targets.targets_file import load_targets
from softcopy_napari.engine.wording import SCANNING, STATES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DEVELOPERS = [ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/dev/*.md")]
README, COMMAND, TARGETS_FILE, NOTIFICATIONS, PYTHON, RECEIPT = (
    ROOT / name
    for name in (
        "README.md",
        "docs/command.md",
        "docs/targets-file.md",
        "docs/notifications.md",
        "docs/python.md",
        "docs/receipt.md",
    )
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), flags=re.MULTILINE | re.DOTALL)


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next one of the same rank."""
    rank = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^{rank} |\Z)", text_of(page), flags=re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Cells of all tables in a text, without heads; the marks of code are removed."""
    cells = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    rules = [index for index, row in enumerate(cells) if set(row[0]) <= {"-"}]
    heads = {index - 1 for index in rules}
    return [row for index, row in enumerate(cells) if index not in heads and index not in rules]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


# --- the command --------------------------------------------------------------------------------------------


def help_text(*command: str) -> str:
    result = CliRunner().invoke(cli.softcopy, [*command, "--help"])
    assert result.exit_code == 0
    return result.output


def test_every_option_of_the_command_is_in_its_reference_and_the_reverse() -> None:
    helped = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", help_text(), flags=re.MULTILINE))
    listed = {_OPTION.findall(row[0])[0] for row in rows(section(COMMAND, "## Options"))}
    assert {"--nprocs", "--finish-idle"} <= helped
    assert listed == helped


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_tells_to_use_an_option_that_is_not_there(page: Path) -> None:
    helps = [help_text(), *(help_text(command) for command in cli.softcopy.commands)]
    known = set(_OPTION.findall("\n".join(helps))) | {"--version"}
    lines = [line for line in text_of(page).splitlines() if page == COMMAND or re.search(r"\bsoftcopy -", line)]
    assert set(_OPTION.findall("\n".join(lines))) <= known


def spelled(default: object) -> str:
    """A default as the pages have it."""
    return f"{default:g}" if isinstance(default, int | float) else str(default)


def test_the_reference_has_the_options_defaults() -> None:
    listed = {_OPTION.findall(row[0])[0]: row[1] for row in rows(section(COMMAND, "## Options"))}
    words = {None: "off", True: "true", False: "off"}
    for name, field in Settings.model_fields.items():
        default = field.default
        expected = words[default] if default is None or isinstance(default, bool) else spelled(default)
        option = "wait" if name == "wait_for_source" else name.replace("_", "-")
        assert listed["--" + option] == expected


def test_the_tables_of_options_are_those_of_the_help() -> None:
    command = [sys.executable, str(ROOT / "tools" / "docs_options.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_tables_of_options_have_each_command_with_options() -> None:
    tabled = set(re.findall(r"<!-- options: (\w+) -->", text_of(COMMAND)))
    assert tabled == {"copy", "check", "verify", "wait", "free", "status", "set", "watch", "demo"}
    orders = {"finish", "pause", "resume", "stop"}  # they have --all only
    no_options = {"notify-test"}
    assert {name for name, command in cli.softcopy.commands.items() if command.params} == tabled | orders | no_options


def test_every_setting_is_an_option_of_the_command_with_the_same_default() -> None:
    """The command's help does without the settings' module, which takes as long to import as all else."""
    given = cli.copy.make_context("copy", ["source", "destination"]).params
    others = {"paths", "verbose", "metrics"}
    assert Settings(**{name: value for name, value in given.items() if name not in others}) == Settings()
    assert set(given) == {*Settings.model_fields, *others}


def test_the_help_of_an_option_is_the_description_of_its_setting() -> None:
    helps = {one.name: getattr(one, "help", None) for one in cli.copy.params if not getattr(one, "hidden", False)}
    for name, field in Settings.model_fields.items():
        assert re.sub(r"\s*\[default: [^\]]*\]", "", helps[name] or "") == field.description


def test_every_command_is_in_the_reference() -> None:
    for name, command in cli.softcopy.commands.items():
        if not command.hidden:
            assert re.search(rf"^## softcopy .*\b{name}\b", text_of(COMMAND), flags=re.MULTILINE), name


def test_the_reference_has_every_state_that_a_user_can_see() -> None:
    listed = {row[0] for row in rows(section(COMMAND, "## What you see"))}
    assert {*STATES.values(), SCANNING} <= listed


# --- the targets file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "number"),
    [(page, number) for page in (README, TARGETS_FILE, NOTIFICATIONS) for number in range(len(blocks(page, "yaml")))],
)
def test_an_example_of_a_targets_file_can_be_used_as_it_stands(page: Path, number: int, tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text(blocks(page, "yaml")[number], encoding="utf-8")
    assert load_targets(path, Settings())


@pytest.mark.parametrize("page", [README, TARGETS_FILE], ids=lambda page: page.name)
def test_there_are_examples_of_targets_files(page: Path) -> None:
    assert blocks(page, "yaml")


def test_the_page_of_the_targets_file_has_every_key_and_its_default() -> None:
    listed = {row[0]: row[2] for row in rows(section(TARGETS_FILE, "## Settings"))}
    assert set(listed) == set(Target.model_fields) - {"check", "by_content", "detached"}
    for name, field in Settings.model_fields.items():
        words = {None: "null", True: "true", False: "false"}
        default = field.default
        expected = words[default] if default is None or isinstance(default, bool) else spelled(default)
        assert listed[name].split()[0] == expected


# --- links --------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What a link may say behind `#`, as code hosts make it of headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(text_of(page)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(there), f"{page.name} links to {link}"


def test_the_table_of_contents_has_every_page() -> None:
    folder = ROOT / "docs"
    index = text_of(folder / "index.md")
    for page in folder.glob("**/*.md"):
        assert page.name == "index.md" or f"]({page.relative_to(folder).as_posix()}" in index


def test_the_site_can_be_built_and_none_of_its_links_leads_nowhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed: the group `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_list_has_a_blank_line_before_it_or_the_site_shows_it_as_text(page: Path) -> None:
    text = without_code(text_of(page))
    assert re.findall(r"^(?!\s*(?:[-*]|\d+\.) |\s{2,}|\s*$|#).*\n(?:- |1\. ).*", text, flags=re.MULTILINE) == []


# --- Python -------------------------------------------------------------------------------------------------


PYTHON_BLOCKS = [(page, number) for page in (README, PYTHON) for number in range(len(blocks(page, "python")))]
# What the variables of the examples are, and what they may be asked for.
NAMED = {
    "copy": Copy,
    "snapshot": TargetSnapshot,
    "result": TargetSnapshot,
    "array": ArraySnapshot,
    "failure": Failure,
    "TargetState": TargetState,
    "ChunkState": ChunkState,
}
CALLED = {"copy.snapshot": TargetSnapshot, "copy.finish": TargetSnapshot}


def has(kind: type, name: str) -> bool:
    return hasattr(kind, name) or (issubclass(kind, Message) and name in kind.model_fields)


@pytest.mark.parametrize(("page", "number"), PYTHON_BLOCKS)
def test_an_example_in_python_uses_names_that_exist(page: Path, number: int) -> None:
    tree = ast.parse(blocks(page, "python")[number])
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if find_spec(module.partition(".")[0]):
                for name in names:
                    assert hasattr(import_module(module), name.name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in NAMED:
                assert has(NAMED[name], attribute), f"{name}.{attribute}"
            case ast.Attribute(value=ast.Call(func=called), attr=attribute) if ast.unparse(called) in CALLED:
                assert has(CALLED[ast.unparse(called)], attribute), ast.unparse(node)
            case ast.Call(func=ast.Name(id="start"), keywords=keywords):
                assert {keyword.arg for keyword in keywords} <= set(Settings.model_fields)


def test_the_readme_shows_a_python_call() -> None:
    (block,) = blocks(README, "python")
    assert {"start", "snapshot", "finish"} <= set(re.findall(r"\w+", block))
    assert callable(softcopy_napari.start)


def listed_names(heading: str) -> set[str]:
    return {name for row in rows(section(PYTHON, heading)) for name in re.findall(r"[A-Za-z_]\w*", row[0])}


def test_every_field_of_a_snapshot_is_described_and_none_that_is_not_there() -> None:
    names = listed_names("## TargetSnapshot")
    properties = {name for name, value in vars(TargetSnapshot).items() if isinstance(value, property)}
    states = {state.name for state in ChunkState}
    expected = {*TargetSnapshot.model_fields, *ArraySnapshot.model_fields, *properties, *states}
    assert names == {name for name in expected if not name.startswith("_")}


def test_every_method_of_a_copy_is_described() -> None:
    names = listed_names("## Copy") - {"timeout", "None"}
    assert names == {name for name, value in vars(Copy).items() if callable(value) and not name.startswith("_")}


def test_every_key_of_a_receipt_is_described() -> None:
    keys = {name for row in rows(section(RECEIPT, "## The JSON file")) for name in row[0].split(", ")}
    assert keys == set(Receipt.model_fields)


def test_pages_for_developers_name_files_that_exist() -> None:
    folders = [ROOT / name for name in ("src", "tests", "benchmarks", "tools")]
    there = {path.name for folder in folders for path in folder.rglob("*.*")}
    named = {name for page in DEVELOPERS for name in re.findall(r"\b\w+\.(?:py|c)\b(?![/\w])", text_of(page))}
    assert named
    assert named <= there
