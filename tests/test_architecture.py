"""The doors of the house: who may import whom, and how large a room may grow (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "kubeplay").rglob("*.py"))

# Each room may import the rooms named here, and itself.
BASE = {"errors", "config", "clock", "record"}
ROOMS = {
    "record": set(),
    "errors": {"record"},
    "config": {"record"},
    "clock": set(),
    "plan": BASE,
    "kube": BASE | {"plan"},
    "engine": BASE | {"plan"},
    "reconcile": BASE | {"plan", "kube", "engine"},
    "generate": BASE | {"plan", "kube", "engine", "reconcile"},
    "play": BASE | {"plan", "kube", "engine", "reconcile"},
    "supervisor": BASE | {"plan", "kube", "engine", "reconcile", "play", "generate"},
    "kustomize": BASE | {"kube"},
    "convert": BASE | {"kube"},
    "apply": BASE | {"plan", "kube", "engine", "reconcile", "play", "generate"},
    "sync": BASE | {"plan", "kube", "engine", "reconcile", "play", "generate", "kustomize", "apply"},
    "cluster": BASE | {"plan", "kube", "engine", "reconcile", "play", "generate"},
    "cli": BASE
    | {"plan", "kube", "engine", "reconcile", "play", "generate", "supervisor", "kustomize", "convert", "apply", "sync", "cluster"},
}
# Inside the engine; "" is the files at its top. docs/decisions/0001: images may call layers, because loading an image applies them.
# build: runs RUN steps, so it needs oci and net too; it calls the top files (container, exec) through what it is handed.
ENGINE = {
    "host": set(),
    "rootless": {"host"},
    "store": {"host", "rootless"},
    "layers": {"store", "host", "rootless"},
    "images": {"layers", "store", "host", "rootless"},
    "volumes": {"store", "host", "rootless"},
    "net": {"store", "host", "rootless"},
    "oci": {"store", "host", "rootless"},
    "build": {"oci", "net", "volumes", "images", "layers", "store", "host", "rootless"},
    "": {"build", "oci", "net", "volumes", "images", "layers", "store", "host", "rootless"},
}
ONLY = {"kubernetes": "kubeplay/kube/models.py", "pyroute2": "kubeplay/engine/net/"}
MAX_FILE, MAX_FUNCTION = 500, 80


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(module: str) -> str:
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else ""
    return "cli" if room == "__main__" else room


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_doors(path: Path) -> None:
    here = _room(_name(path))
    for module in _imports(ast.parse(path.read_text())):
        top = module.split(".")[0]
        if top in ONLY:
            assert str(path.relative_to(ROOT)).startswith(ONLY[top]), f"only {ONLY[top]} may import {top}"
        there = _room(module) if top == "kubeplay" else ""
        if here and there and there != here and not there.startswith("__"):
            assert there in ROOMS[here], f"{here} must not import {module}"


@pytest.mark.parametrize("path", [p for p in SOURCES if "engine" in p.parts], ids=lambda p: str(p.relative_to(ROOT)))
def test_doors_inside_the_engine(path: Path) -> None:
    def part(module: str) -> str:
        pieces = module.split(".")
        return pieces[2] if len(pieces) > 2 and pieces[2] in ENGINE else ""

    here = part(_name(path))
    for module in _imports(ast.parse(path.read_text())):
        if module.startswith("kubeplay.engine.") and part(module) != here:
            assert part(module) in ENGINE[here], f"engine/{here or '*.py'} must not import {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE, "this room wants to be two"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{node.name} is too long"


def test_every_module_says_what_it_is() -> None:
    silent = [str(p) for p in SOURCES if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent


def test_no_room_called_utils() -> None:
    assert not [p for p in SOURCES if {p.stem, *p.parts} & {"utils", "util", "helpers", "common", "misc"}]


def test_only_the_runtime_module_names_a_runtime_binary() -> None:
    named = [
        str(p.relative_to(ROOT))
        for p in SOURCES
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("runc", "crun", "/usr/bin/runc", "/usr/sbin/runc", "/usr/bin/crun")
    ]
    allowed = {"kubeplay/engine/oci/runtime.py", "kubeplay/cli/check.py", "kubeplay/cli/system.py", "kubeplay/engine/rootless/needs.py"}
    assert set(named) <= allowed, named
