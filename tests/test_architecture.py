"""Who may import whom: the rules of `docs/architecture.md`, held against every import of the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("cold_kernels", "tuner", "decoding", "bench", "tests")


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {file: ast.parse(file.read_text()) for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))}
MODULES = {module_of(file): file for file in TREES}


def imported(module):
    """The modules that a module imports, wherever the import stands."""
    file = MODULES[module]
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join(filter(None, (*above, node.module)))
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) | ({base} if names - MODULES.keys() else set())
    return found - {module}


GRAPH = {module: imported(module) & MODULES.keys() for module in MODULES}


def orders():
    """For each line of the page: the package, and the place of each of its rooms from left to right."""
    lines = PAGE.partition("<!-- rooms -->")[2].partition("<!-- end -->")[0]
    for line in filter(None, map(str.strip, lines.splitlines())):
        package, _, rooms = line.partition(": ")
        ranks = enumerate(rooms.split(" < "))
        yield package, {room: rank for rank, listed in ranks for room in listed.split(", ")}


ORDERS = dict(orders())


def upward(package, ranks):
    """The imports within a package whose target stands beside or further right than who imports it.

    Tests may look at everything, also those that stand in `bench`.
    """
    prefix = "" if package == "." else f"{package}."

    def room(module):
        return module.removeprefix(prefix).split(".")[0] if module.startswith(prefix) else ""

    for module, targets in GRAPH.items():
        for target in sorted(targets if "test_" not in module else ()):
            mine, other = room(module), room(target)
            if mine != other and mine in ranks and other in ranks and ranks[other] >= ranks[mine]:
                yield f"{module} imports {target}"


@pytest.mark.parametrize("package", ORDERS)
def test_no_import_runs_upward(package):
    assert not list(upward(package, ORDERS[package]))


def test_an_upward_import_is_seen():
    assert list(upward("cold_kernels", {"ops": 0, "launch": 1}))
    assert list(upward(".", {"tests": 0, "cold_kernels": 1}))


@pytest.mark.parametrize("package", ORDERS)
def test_the_page_leaves_no_room_out(package):
    folder = ROOT if package == "." else ROOT.joinpath(*package.split("."))
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert rooms <= ORDERS[package].keys() | {"bgmv", "contrastive", "fidelity"}  # which stand beside the order
    there = {path.stem for path in folder.glob("*.py")} | rooms
    assert ORDERS[package].keys() <= there


def circles(graph):
    """The groups of modules that import each other, by Tarjan's algorithm."""
    index, low, stack, found = {}, {}, [], []

    def visit(module):
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in graph[module]:
            if target not in index:
                visit(target)
            if target in stack:
                low[module] = min(low[module], low[target])
        if low[module] == index[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            found.extend([sorted(group)] if len(group) > 1 else [])

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_files_import_each_other_in_a_circle():
    assert circles(GRAPH) == []
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c"]]


def test_the_compiler_and_simulator_know_no_kernels():
    for module in MODULES:
        if module.startswith("cold_kernels.ascend"):
            assert not {
                target for target in GRAPH[module] if re.match(r"cold_kernels\.(bgmv|contrastive|ops)\b", target)
            }


def test_only_kernels_import_triton_at_the_top():
    for module, file in MODULES.items():
        nodes = [node for node in TREES[file].body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in nodes}
        if module.startswith("cold_kernels") and any(str(name).split(".")[0] == "triton" for name in names):
            kernels = file.parent.parent == ROOT / "cold_kernels" or file.parent.name == "published"
            assert kernels or file.parent == ROOT / "cold_kernels" / "npu" / "launches", module


def test_every_folder_is_on_the_page():
    for package in ("cold_kernels", "tuner", "decoding", "bench"):
        for folder in {file.parent for file in (ROOT / package).rglob("*.py")}:
            assert f"{folder.name}/" in PAGE, folder
