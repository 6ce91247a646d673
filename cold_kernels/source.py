"""The source text that decides what a kernel compiles to."""

import ast
import hashlib
import inspect
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

CHOOSERS = ("autotune", "heuristics", "tuned")
"""Decorators that choose constants when a kernel is launched."""


@dataclass(frozen=True)
class KernelSource:
    """A kernel's name, place and text; made by `kernel_source`."""

    module: str
    """The name that the module imports by: for `python -m package.tool` that one, not `__main__`."""
    file: str
    qualname: str
    line: int
    """Of the first decorator, as Python counts it."""
    text: str
    """The function, the jit functions that it reaches through globals, and the constants that they use."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the text alone: moving a kernel within or between files does not change it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def kernel_source(fn) -> KernelSource:
    """Where `fn` stands and every line of source that it compiles from.

    Args:
        fn: A Triton kernel, compiled or interpreted, decorated further or not, or a plain Python function.

    Raises:
        TypeError: `fn` is no function and wraps none.
        ValueError: Its source is out of reach, as for a function made by `exec` or typed at a prompt.
    """
    function = python_function(fn)
    pieces: list[str] = []
    _collect(function, pieces, seen=set())
    file = str(Path(inspect.getsourcefile(function)).resolve())
    return KernelSource(
        module=_importable_name(function),
        file=file,
        qualname=function.__qualname__,
        line=function.__code__.co_firstlineno,
        text="\n".join(pieces),
    )


def python_function(fn) -> FunctionType:
    """The plain function under a kernel's wrappers, each of which keeps what it wraps in `.fn`."""
    inner = fn
    while not isinstance(inner, FunctionType):
        if not hasattr(inner, "fn"):
            raise TypeError(f"{fn!r} is a {type(fn).__name__}, not a Triton kernel or a function")
        inner = inner.fn
    return inner


def _importable_name(function: FunctionType) -> str:
    if function.__module__ == "__main__":
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        return spec.name if spec is not None else "__main__"
    return function.__module__


def _collect(function: FunctionType, pieces: list[str], seen: set[FunctionType]) -> None:
    seen.add(function)
    text = _own_text(function)
    pieces.append(text)
    constants: dict[str, str] = {}
    helpers: list[FunctionType] = []
    for name, value in _globals_used(function, text):
        if _is_constant(value):
            constants[name] = f"{name} = {value!r}\n"
        elif (helper := _jit_helper(value)) is not None:
            helpers.append(helper)
    pieces.extend(constants[name] for name in sorted(constants))
    for helper in helpers:
        if helper not in seen:
            _collect(helper, pieces, seen)


def _own_text(function: FunctionType) -> str:
    try:
        return _without_choosers(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError) as error:
        where = function.__code__.co_filename
        raise ValueError(
            f"no source for {function.__qualname__} ({where}): {error}; define the kernel in a file"
        ) from error


def _without_choosers(text: str) -> str:
    """A kernel's text without the decorators that choose its constants: they compile to nothing."""
    if "@" not in text or not any(name in text for name in CHOOSERS):
        return text
    try:
        definition = ast.parse(text).body[0]
    except SyntaxError:
        return text
    gone: set[int] = set()
    for decorator in getattr(definition, "decorator_list", ()):
        name = _dotted(decorator.func) if isinstance(decorator, ast.Call) else None
        if name and name[-1] in CHOOSERS:
            gone.update(range(decorator.lineno - 1, decorator.end_lineno))
    return "".join(line for place, line in enumerate(text.splitlines(keepends=True)) if place not in gone)


def _globals_used(function: FunctionType, text: str):
    """Dotted name and value of each global and closure value, `module.attribute` too, as they appear."""
    scope = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            scope[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    local_names = set(function.__code__.co_varnames)
    try:
        definition = ast.parse(text).body[0]
    except SyntaxError as error:
        raise ValueError(
            f"{function.__qualname__} in {function.__code__.co_filename} is no function definition "
            f"({error}); if the file changed after it was imported, import it again"
        ) from error
    pending = [definition.args, *definition.body] if isinstance(definition, ast.FunctionDef) else [definition]
    while pending:
        node = pending.pop(0)
        dotted = _dotted(node)
        if dotted is None:
            pending[:0] = ast.iter_child_nodes(node)
        elif dotted[0] in scope and dotted[0] not in local_names:
            yield _resolve(dotted, scope)


def _dotted(node: ast.AST) -> list[str] | None:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)) is not None:
        return [*owner, node.attr]
    return None


def _resolve(dotted: list[str], scope: dict):
    """Follows `module.attribute` as far as modules go: in `CONSTANT.value` the constant is what counts."""
    value = scope[dotted[0]]
    used = 1
    while isinstance(value, ModuleType) and used < len(dotted):
        value = getattr(value, dotted[used], None)
        used += 1
    return ".".join(dotted[:used]), value


def _is_constant(value) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_constant(item) for item in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return True
    return type(value).__name__ in ("constexpr", "dtype") and _from_triton(type(value).__module__)


def _jit_helper(value) -> FunctionType | None:
    if isinstance(value, (FunctionType, ModuleType, type)) or not hasattr(value, "fn"):
        return None
    try:
        helper = python_function(value)
    except TypeError:
        return None
    return None if _from_triton(helper.__module__) else helper


def _from_triton(module: str) -> bool:
    return module.split(".")[0] == "triton"
