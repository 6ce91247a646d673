"""A digest of everything that code depends on within this distribution, derived from its imports.

What is computed by code, and kept, is kept under such a digest: nobody lists files by hand, so none can be left out.
"""

import ast
import copy
import functools
import hashlib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("cold_kernels", "tuner", "decoding", "bench")
"""The packages whose imports are followed."""


def code_digest(*modules: str) -> str:
    """SHA-256 of all definitions in ``modules`` and in what they import, directly or not, from `PACKAGES`.

    A change of code changes it. Comments, docstrings and layout do not, nor does moving a definition to another file
    that is imported as well. An import counts by what the imported name is defined as.

    Args:
        modules: Dotted names, such as ``"cold_kernels.ascend.simulator"``.

    Raises:
        ValueError: there is no such module.
    """
    statements = set()
    for module in reached(*modules):
        statements.update(_statements(module))
    return hashlib.sha256("\n".join(sorted(statements)).encode()).hexdigest()


def reached(*modules: str) -> dict[str, Path]:
    """``modules`` and all that they import, directly or not and wherever the import stands: files by name."""
    found: dict[str, Path] = {}
    pending = list(modules)
    while pending:
        module = pending.pop()
        if module in found:
            continue
        file = _file(module)
        if file is None:
            raise ValueError(f"there is no module {module!r} in {', '.join(PACKAGES)}")
        found[module] = file
        pending += [target for _, target, _ in _imports(module)]
    return found


@functools.cache
def _statements(module: str) -> tuple[str, ...]:
    """Digests of a module's top-level statements."""
    imported = {name: _meaning(target, wanted) for name, target, wanted in _imports(module)}
    found = []
    for statement in _tree(module).body:
        if _is_own_import(statement, module) or _is_text(statement):
            continue
        names = sorted({node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} & imported.keys())
        text = _bare(statement) + "".join(f"\n{name}: {imported[name]}" for name in names)
        found.append(hashlib.sha256(text.encode()).hexdigest())
    return tuple(found)


@functools.cache
def _meaning(module: str, name: str) -> str:
    """What an imported name stands for: the code that defines it, or for a module all of its definitions."""
    for statement in _tree(module).body:
        if name and _name(statement) == name:
            return hashlib.sha256(_bare(statement).encode()).hexdigest()
    for as_name, target, wanted in _imports(module):  # handed on by a package
        if name and as_name == name:
            return _meaning(target, wanted)
    dumped = [_bare(statement) for statement in _tree(module).body if not _is_text(statement)]
    return hashlib.sha256("\n".join(sorted(dumped)).encode()).hexdigest()


@functools.cache
def _imports(module: str) -> list[tuple[str, str, str]]:
    """Each import of `PACKAGES` in a module: the name that it binds, the module that it is from, and the name there.

    The last is empty where the module itself is bound. Names that `lazy.lazy_exports` hands on count.
    """
    file, found = _file(module), []
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            ours = [alias for alias in node.names if _file(alias.name)]
            found += [(alias.asname or alias.name.partition(".")[0], alias.name, "") for alias in ours]
        elif isinstance(node, ast.ImportFrom) and (source := _source(node, package)):
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                place = (whole, "") if _file(whole) else (source, alias.name)
                found.append((alias.asname or alias.name, *place))
        elif isinstance(node, ast.Dict):
            found += _lazy(node, package)
    return found


def _lazy(homes: ast.Dict, package: str) -> Iterator[tuple[str, str, str]]:
    """The entries of a dictionary ``{name: submodule}``, as `lazy.lazy_exports` takes it."""
    for key, value in zip(homes.keys, homes.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            if value.value.isidentifier() and _file(f"{package}.{value.value}"):
                yield str(key.value), f"{package}.{value.value}", str(key.value)


def _source(node: ast.ImportFrom, package: str) -> str:
    """The module of `PACKAGES` that an import is from; empty for others."""
    parents = package.split(".")
    above = parents[: len(parents) - node.level + 1] if node.level else []
    source = ".".join([*above, *filter(None, [node.module])])
    return source if _file(source) else ""


def _is_own_import(statement: ast.stmt, module: str) -> bool:
    package = module if _file(module).name == "__init__.py" else module.rpartition(".")[0]
    if isinstance(statement, ast.ImportFrom):
        return bool(_source(statement, package))
    return isinstance(statement, ast.Import) and all(_file(alias.name) for alias in statement.names)


def _is_text(statement: ast.stmt) -> bool:
    """Whether it is text that stands alone: a docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _name(statement: ast.stmt) -> str:
    """The name that a top-level statement defines; empty if none or several."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text(encoding="utf-8"))


@functools.cache
def _file(module: str) -> Path | None:
    """The file of a module of `PACKAGES`; None for other modules, and for names that are none."""
    top, *rest = module.split(".")
    if top not in PACKAGES or not (top == "cold_kernels" or find_spec(top)):
        return None
    place = Path(import_module(top).__path__[0], *rest)
    candidates = (place / "__init__.py", place.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


def _bare(statement: ast.stmt) -> str:
    return ast.dump(_Bare().visit(copy.deepcopy(statement)))


class _Bare(ast.NodeTransformer):
    """Leaves out text that stands alone, such as docstrings, and what imports of `PACKAGES` are from."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if _is_text(node) else self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.level or (node.module or "").partition(".")[0] in PACKAGES:
            return ast.ImportFrom(None, node.names, 0)
        return node
