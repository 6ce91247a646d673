"""Runs Kernel Tuner's strategies in its simulation mode; a program of its own, for an environment that has it.

Reads a request from standard input as JSON: a cache in Kernel Tuner's format by its path, the strategies, the seeds,
the evaluations and the values to begin with. Writes one JSON line for each run: strategy, seed, and the least time
found, or null.
"""

import contextlib
import io
import json
import random
import sys
import warnings


def main() -> None:
    """Answers the request."""
    import kernel_tuner
    import numpy
    from constraint import FunctionConstraint  # of python-constraint2, which Kernel Tuner builds on

    request = json.load(sys.stdin)
    with open(request["cache"], encoding="utf-8") as file:
        cache = json.load(file)
    names = cache["tune_params_keys"]
    legal = {tuple(entry[name] for name in names) for entry in cache["cache"].values()}
    for strategy in request["strategies"]:
        for seed in request["seeds"]:
            random.seed(seed)  # most strategies draw from these two, whatever `seed` below says
            numpy.random.seed(seed)
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results, _ = kernel_tuner.tune_kernel(
                    cache["kernel_name"],
                    "",
                    tuple(cache["problem_size"]),
                    [],
                    cache["tune_params"],
                    restrictions=[FunctionConstraint(lambda *values: values in legal)],
                    strategy=strategy,
                    strategy_options={"max_fevals": request["evaluations"], "x0": request["first"]},
                    cache=request["cache"],
                    simulation_mode=True,
                    seed=seed,
                    quiet=True,
                )
            times = [each["time"] for each in results if isinstance(each["time"], (int, float))]
            print(json.dumps([strategy, seed, min(times, default=None)]), flush=True)


if __name__ == "__main__":
    main()
