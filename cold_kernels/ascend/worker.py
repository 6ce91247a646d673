"""The process that imports triton-ascend: kernels' names come in, Linalg text goes out, as JSON lines.

It is apart from the caller because TRITON_INTERPRET decides at import what Triton is, because the compiler's
library may abort, and because a fork after a compile hangs.
"""

import contextlib
import importlib
import importlib.util
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

_is_worker = False


def in_worker() -> bool:
    """Whether this process is the worker, where nothing may ask for a compile."""
    return _is_worker


def main() -> None:
    """Serves requests from standard input until it ends."""
    global _is_worker
    _is_worker = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like a reply
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()

    def reply(**message) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    with contextlib.suppress(ImportError):  # said when it is asked for
        import triton.compiler  # noqa: F401
    reply(ready=True)
    stamps: dict[str, tuple[int, int] | None] = {}
    while True:
        request = json.loads(requests.get())
        # The kernel ends this process even where a library hangs without letting Python run.
        signal.alarm(math.ceil(request["timeout"]) + 5)
        if any(_stamp(file) != stamp for file, stamp in stamps.items()):
            reply(stale=True)
            os._exit(0)  # an orderly exit would trip over the reading thread
        before = set(sys.modules)
        answer = _serve(request, reply)
        stamps.update(_stamps_of(set(sys.modules) - before))
        signal.alarm(0)
        reply(**answer)


def _read(requests: queue.SimpleQueue) -> None:
    for line in sys.stdin:
        requests.put(line)
    # The parent is gone, however it went; so be any tool that was started for it.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _serve(request: dict, reply) -> dict:
    stage = "frontend"
    kernel = None
    try:
        sys.path[:] = request["path"]
        kernel = _find(request)
        ttir = _Lowering(kernel, request)
        stage = "linalg"
        reply(stage=stage)
        return {"linalg": ttir.to_linalg()}
    except Exception as error:
        message, of_kernel = _describe(error)
        return {"failure": message, "stage": stage, "of_kernel": of_kernel, "found": kernel is not None}
    except SystemExit as error:
        message = f"{request['file']} called exit({error.code!r}) when it was imported"
        return {"failure": message, "stage": stage, "of_kernel": False}


def _describe(error: Exception) -> tuple[str, bool]:
    """The message, and whether it is the kernel's fault: an import may fail for want of something else."""
    if isinstance(error, subprocess.CalledProcessError):
        return error.stderr.decode(errors="replace").strip() or str(error), error.returncode > 0
    if any(kind.__name__ == "CompilationError" for kind in type(error).__mro__):
        while type(error.__cause__) is type(error):  # in a helper: what wraps it quotes it unreadably
            error = error.__cause__
        return str(error), True
    return f"{type(error).__name__}: {error}", False


class _Lowering:
    """What triton-ascend's driver does to a kernel before it calls bishengir-compile."""

    def __init__(self, kernel, request: dict):
        from triton._C.libtriton import ir
        from triton.backends.ascend.compiler import AscendAttrsDescriptor, AscendBackend, make_ttir
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        target = GPUTarget("npu", request["chip"], 0)
        backend = AscendBackend(target)
        self.options = backend.parse_options({})
        self.metadata = {**self.options.__dict__, "target": target}
        attrs = AscendAttrsDescriptor()
        attrs.arg_properties = {
            "tt.divisibility": [kernel.arg_names.index(name) for name in request["divisible_by_16"]],
            "tt.equal_to": [],
        }
        constants = {name: _decode(value) for name, value in request["constants"].items()}
        source = ASTSource(fn=kernel, signature=request["signature"], constants=constants, attrs=attrs)
        context = ir.context()
        ir.load_dialects(context)
        implementation = backend.get_codegen_implementation()
        with _files_named_in_utf8():
            module = source.make_ir(self.options, implementation, backend.get_module_map(), context)
        self.module = make_ttir(module, self.metadata, self.options)

    def to_linalg(self) -> str:
        from triton.backends.ascend.compiler import ttir_to_linalg

        return ttir_to_linalg(self.module, self.metadata, self.options, named_ops=True)


@contextlib.contextmanager
def _files_named_in_utf8():
    """Triton writes the file's name into locations, where a name that is no Unicode ends it: a folder named in another
    encoding, or any that is not ASCII where Python's file names are."""
    from triton.compiler import code_generator

    asked = code_generator.get_jit_fn_file_line

    def answer(fn):
        file, line = asked(fn)
        try:
            file.encode()
        except UnicodeEncodeError:
            file = os.fsencode(file).decode(errors="backslashreplace")
        return file, line

    code_generator.get_jit_fn_file_line = answer
    try:
        yield
    finally:
        code_generator.get_jit_fn_file_line = asked


def _decode(value):
    if isinstance(value, dict):
        import triton.language

        return triton.language.dtype(value["dtype"])
    return value


def _find(request: dict):
    from triton.runtime.jit import JITFunction

    value = _import(request)
    for name in request["qualname"].split("."):
        value = getattr(value, name)
    while not isinstance(value, JITFunction):
        if not hasattr(value, "fn"):
            raise TypeError(f"{request['qualname']} in {request['file']} is not a @triton.jit function")
        value = value.fn
    return value


def _import(request: dict):
    """The kernel's module, on a device that is not there if the caller names one."""
    module, file = request["module"], Path(request["file"])
    if not request["device"]:
        return _import_plainly(module, file)
    where, _, name = request["device"].partition(":")
    with getattr(importlib.import_module(where), name)(request["chip"], hazards="off", limit=None):
        return _import_plainly(module, file)


def _import_plainly(name: str, file: Path):
    """The module of that name if it is that file, else the file under a name of its own."""
    if name != "__main__" and _origin(name) == file:
        return importlib.import_module(name)
    private = f"_kernels_of_{file.stem}_{abs(hash(file)):x}"
    if private not in sys.modules:
        spec = importlib.util.spec_from_file_location(private, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[private] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[private]
            raise
    return sys.modules[private]


def _origin(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return None
    return Path(spec.origin).resolve() if spec is not None and spec.origin else None


def _stamps_of(modules: set[str]) -> dict[str, tuple[int, int] | None]:
    files = (getattr(sys.modules.get(name), "__file__", None) for name in modules)
    return {file: _stamp(file) for file in files if file}


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


if __name__ == "__main__":
    # Under its own name, so that `in_worker` answers for this process too.
    from cold_kernels.ascend.worker import main as serve

    serve()
