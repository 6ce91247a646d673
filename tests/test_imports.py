"""Who may import whom, read from the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cold_kernels", "tuner", "decoding", "bench", "tests")
FILES = sorted((ROOT / "cold_kernels").rglob("*.py"))


def imports(file):
    """Full names of what a file imports, at any depth of nesting."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join(filter(None, (*above, node.module)))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def ours(names):
    return {name for name in names if name.split(".")[0] in PACKAGES}


def inside(names, *modules):
    return {name for name in names if any(name == module or name.startswith(f"{module}.") for module in modules)}


def test_the_reader_of_imports():
    assert "cold_kernels.devices.device_of" in imports(ROOT / "cold_kernels" / "launch.py")
    assert "cold_kernels.ascend.installation.toolchain_versions" in imports(ROOT / "cold_kernels" / "launch.py")
    assert "cold_kernels.ascend.chips" in imports(ROOT / "cold_kernels" / "ascend" / "simulator" / "simulation.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_package_needs_nothing_around_it(file):
    assert not inside(imports(file), "tuner", "decoding", "bench", "tests")


@pytest.mark.parametrize("file", sorted((ROOT / "cold_kernels" / "ascend").rglob("*.py")), ids=lambda file: file.stem)
def test_the_compiler_and_simulator_know_no_kernels(file):
    below = ("source", "lazy", "code_digest", "files")
    known = inside(imports(file), "cold_kernels.ascend", *(f"cold_kernels.{name}" for name in below))
    assert ours(imports(file)) <= known | {"cold_kernels"}


def test_operators_launches_tables_in_this_order():
    above = {"launch": ("ops",), "tables": ("ops", "launch"), "spec": ("ops", "launch", "tables")}
    for name, higher in above.items():
        seen = imports(ROOT / "cold_kernels" / f"{name}.py")
        assert not inside(seen, *(f"cold_kernels.{module}" for module in higher)), name
    assert inside(imports(ROOT / "cold_kernels" / "ops" / "run.py"), "cold_kernels.launch")
    assert inside(imports(ROOT / "cold_kernels" / "launch.py"), "cold_kernels.tables")
    assert inside(imports(ROOT / "cold_kernels" / "tables.py"), "cold_kernels.spec")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_only_kernels_import_triton_at_the_top(file):
    top = [node for node in ast.parse(file.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or node.names[0].name for node in top if not getattr(node, "level", 0)}
    if any(name.split(".")[0] == "triton" for name in names):
        assert file.parent != ROOT / "cold_kernels" and file.parent.parent == ROOT / "cold_kernels"
