"""What the package's own text must not have: shells, evaluation, and pickles from anywhere but its own workers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import softcopy_napari

PACKAGE = Path(softcopy_napari.__file__).parent
# On the pipes of processes that the engine itself has started.
PICKLES = {
    "engine/worker/tasks.py",
    "engine/worker/process.py",
    # Dask pickles whatever goes between its machines: who reaches a scheduler can run programs there anyway.
    "engine/dask_workers/cluster_reader.py",
    "engine/dask_workers/dask_host.py",
    "engine/dask_workers/on_worker.py",
    "engine/dask_workers/reading.py",
}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "system",
    "popen",
    "getoutput",
    "load_all",
    "unsafe_load",
    "full_load",
}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path.relative_to(PACKAGE).as_posix(), node


def test_nothing_is_unpickled_but_what_own_workers_say() -> None:
    names = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    found = set()
    for path, node in nodes():
        match node:
            case ast.Import(names=aliases) if names & {alias.name for alias in aliases}:
                found.add(path)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in names:
                found.add(path)
            case ast.Call(func=ast.Attribute(attr="recv"), args=[]):  # a socket's has a number of bytes
                raise AssertionError(f"{path} unpickles what comes over a connection")
            case ast.keyword(arg="allow_pickle"):
                found.add(path)
    assert found == PICKLES


def test_no_shell_and_no_evaluation() -> None:
    for path, node in nodes():
        match node:
            case ast.keyword(arg="shell"):
                raise AssertionError(f"{path} starts a shell")
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                raise AssertionError(f"{path} calls {name}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os" | "subprocess" | "yaml"), attr=name)):
                assert name not in {*CALLS, "load"}, f"{path} calls {name}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="load")):
                raise AssertionError(f"{path} loads an array of any kind: see open_ledger")


def test_processes_do_not_look_for_modules_in_the_folder_that_they_start_in() -> None:
    for path, node in nodes():
        if isinstance(node, ast.List):
            values = [element.value for element in node.elts if isinstance(element, ast.Constant)]
            assert "-m" not in values or "-P" in values, f"{path} runs a module that may be somebody else's"
