"""SIGKILL again and again, at any moment and to any tuner: what is found is what an undisturbed search finds."""

import os
import random
import time

import pytest

from .test_autotune import table_of
from .test_shared import TRIALS, nothing_twice, standing, start, undisturbed  # noqa: F401

pytestmark = pytest.mark.kills
KILLS = int(os.environ.get("COLD_KERNELS_KILLS", "200"))
LONGEST = 6.0
"""Seconds from a tuner's start to its end by SIGKILL, at most; it takes a few until it runs its first trial."""


def test_two_hundred_kills_change_nothing(tmp_path, undisturbed):  # noqa: F811
    """Some kills hit a tuner that is alone with its journal, some one of two that share one."""
    draw, killed, rounds = random.Random(0), 0, 0
    while killed < KILLS:
        output, rounds = tmp_path / str(rounds), rounds + 1
        url = str(output / "trials.journal")
        shared = rounds % 2 == 0
        where = ["--storage", url] if shared else []
        width = 2 if shared else 1
        tuners, ends, finished = [], {}, False
        while not finished:
            while len(tuners) < width:
                tuner = start("autotune", "--output", output, "--trials", TRIALS, *where, seconds=0.15)
                tuners.append(tuner)
                ends[tuner] = time.monotonic() + draw.uniform(0, LONGEST) if killed < KILLS else float("inf")
            time.sleep(0.02)
            for tuner in list(tuners):
                if tuner.poll() is not None:
                    said = tuner.communicate()[0]
                    assert tuner.returncode == 0 and "Traceback" not in said, said
                    finished = True
                elif time.monotonic() > ends[tuner]:
                    tuner.kill()
                    tuner.communicate()
                    tuners.remove(tuner)
                    killed += 1
        for tuner in tuners:
            said = tuner.communicate(timeout=120)[0]
            assert tuner.returncode == 0 and "Traceback" not in said, said
        assert table_of(output) == undisturbed
        if shared:
            nothing_twice(standing(url))
    assert killed >= KILLS
