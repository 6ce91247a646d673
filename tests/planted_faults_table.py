"""The faults of `tests.planted_faults`: mistakes that a refactoring makes, none of which breaks an import.

Where a module, a line of it or a test moves, its row here moves along; a fault whose text is gone gets another text
that breaks the same thing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One mistake in one place.

    Args:
        name: What the command calls it.
        module: Dotted name of the module, as it is imported from the root of a checkout.
        text: What is replaced; there exactly once in the module's file.
        replacement: What it is replaced by.
        breaks: What goes wrong for a user, in one sentence.
        tests: Those that should notice, as pytest is given them: files, folders or single tests of a checkout.
    """

    name: str
    module: str
    text: str
    replacement: str
    breaks: str
    tests: tuple[str, ...]

    @property
    def file(self) -> str:
        """The module's file, relative to the root of a checkout."""
        return f"{self.module.replace('.', '/')}.py"


_TABLE = (
    Fault(
        name="parts-without-scale",
        module="cold_kernels.bgmv.shrink",
        text="axis=1) * scale",
        replacement="axis=1) * (scale if SPLIT_H == 1 else 1.0)",
        breaks="Where a table splits the hidden size over cores, an adapter acts at the wrong strength.",
        tests=("tests/ascend/test_compiled_shrink.py",),
    ),
    Fault(
        name="nan-with-a-sign",
        module="cold_kernels.contrastive.score",
        text="b_e.to(BITS, bitcast=True) & NO_SIGN",
        replacement="b_e.to(BITS, bitcast=True)",
        breaks="On a device a row with a negative NaN is scored as if it were whole.",
        tests=("tests/contrastive/test_compiled.py",),
    ),
    Fault(
        name="one-tie-too-many",
        module="cold_kernels.contrastive.sample",
        text="key, at, keep - 0.5, best",
        replacement="key, at, keep + 0.5, best",
        breaks="On a device top-k keeps one token too many where several are equal at its edge.",
        tests=("tests/contrastive/test_sample_compiled.py",),
    ),
    Fault(
        name="halves-round-up",
        module="cold_kernels.ascend.simulator.dialects.casts",
        text="np.trunc(values + np.copysign(0.5, values))",
        replacement="np.floor(values + 0.5)",
        breaks="The simulator rounds negative halves to other integers than the device does.",
        tests=("tests/ascend/simulator/test_casts.py",),
    ),
    Fault(
        name="load-past-a-whole-block",
        module="cold_kernels.ascend.simulator.execute.effects",
        text="after = -(written.start + written.run) % BLOCK",
        replacement="after = BLOCK - (written.start + written.run) % BLOCK",
        breaks="A simulated load whose row ends with a block spoils the block behind it.",
        tests=("tests/ascend/simulator/test_simulate.py",),
    ),
    Fault(
        name="nan-sorted-last",
        module="cold_kernels.ascend.simulator.dialects.ordering",
        text="values[..., ::-1] if descending else values",
        replacement="-np.sort(-values, axis=-1) if descending else values",
        breaks="A simulated sort that descends puts NaN at its end, where the device has it first.",
        tests=("tests/ascend/simulator/test_ordering.py",),
    ),
    Fault(
        name="complete-one-too-early",
        module="cold_kernels.ascend.simulator.hazards.order",
        text="self.complete[other.pipe] > other.index",
        replacement="self.complete[other.pipe] >= other.index",
        breaks="A kernel that reads what a copy may still be writing passes as free of hazards.",
        tests=("tests/ascend/simulator/test_hazards.py",),
    ),
    Fault(
        name="barrier-without-draining",
        module="cold_kernels.ascend.simulator.timing.timeline",
        text="free[pipe] = max(idle, done[pipe])",
        replacement="free[pipe] = max(idle, now)",
        breaks="A barrier costs nothing, so that kernels full of them are simulated too fast and win.",
        tests=("tests/ascend/simulator/test_timeline.py",),
    ),
    Fault(
        name="programs-start-at-once",
        module="cold_kernels.ascend.simulator.timing.cores",
        text="start = max(start, idle + overhead) + interval",
        replacement="start = max(start, idle + overhead)",
        breaks="A grid of a thousand programs costs what one of forty does, and is recommended.",
        tests=("tests/ascend/simulator/test_simulate.py",),
    ),
    Fault(
        name="scalar-loads-wait-one-by-one",
        module="cold_kernels.ascend.simulator.execute.translate",
        text="waits = missed and not (overlaps and self.under_way)",
        replacement="waits = missed",
        breaks="Independent scalar loads are priced as a chain: kernels of scalar work look several times too slow.",
        tests=("tests/ascend/simulator/test_scalar_cache.py",),
    ),
    Fault(
        name="cache-without-options",
        module="cold_kernels.ascend.toolchain",
        text="options=asdict(options), versions=toolchain.versions",
        replacement="versions=toolchain.versions",
        breaks="Whoever compiles a kernel with other options gets the program that was compiled first.",
        tests=("tests/ascend/test_toolchain.py",),
    ),
    Fault(
        name="ones-always-constant",
        module="cold_kernels.stage",
        text="and value == 1 and name not in fixed",
        replacement="and value == 1",
        breaks="A batch of one row runs another program than every other batch.",
        tests=("tests/test_spec.py",),
    ),
    Fault(
        name="smallest-bucket",
        module="cold_kernels.tables",
        text="abs(math.log2((one[dim] + 1) / (other[dim] + 1)))",
        replacement="math.log2((one[dim] + 1) / (other[dim] + 1))",
        breaks="A shape between two tuned ones is launched as the smallest of all, not as its nearest.",
        tests=("tests/test_tables.py",),
    ),
    Fault(
        name="overlap-allowed",
        module="cold_kernels.ops.checks",
        text="if widths[0] <= ahead and ahead + widths[1] <= pitch:",
        replacement="if ahead + widths[1] <= pitch:",
        breaks="An operator overwrites its own input while it reads it, and says nothing.",
        tests=("tests/ops/test_expand.py",),
    ),
    Fault(
        name="rows-in-one-product",
        module="cold_kernels.bgmv.cpu",
        text="if count == 1 and inner * outputs >= BATCHED:",
        replacement="if inner * outputs >= BATCHED:",
        breaks="On a CPU a request's bits depend on who else is in the batch.",
        tests=("tests/ops/test_shrink.py",),
    ),
    Fault(
        name="sequences-of-one-length",
        module="cold_kernels.ops.prefill",
        text="torch.repeat_interleave(indices, lengths, output_size=rows)",
        replacement="indices[torch.arange(rows, device=indices.device) * len(indices) // rows]",
        breaks="In a prefill of sequences that differ in length, rows get their neighbour's adapter.",
        tests=("tests/ops/test_prefill.py",),
    ),
    Fault(
        name="winner-by-mean",
        module="tuner.search.winner",
        text="wins(mine[case], default[case]) for case in default",
        replacement="chips * (sum(mine[case]) < sum(default[case])) for case in default",
        breaks="The tuner replaces a default on the word of a few chips where the winner is much faster.",
        tests=("tests/tuner/test_winner.py",),
    ),
    Fault(
        name="abandoned-counts-as-tried",
        module="tuner.search.study",
        text="elif trial.number not in abandoned:",
        replacement="else:",
        breaks="A configuration that was running when the tuner was killed is never tried again.",
        tests=("tests/tuner/test_sampler.py",),
    ),
    Fault(
        name="amateur-with-an-adapter",
        module="decoding.loop.decode",
        text="course.amateur = rows.open(-1)",
        replacement="course.amateur = rows.open(slots.get(course.request.adapter, -1))",
        breaks="The amateur is the expert itself, so that contrastive decoding changes nothing.",
        tests=("tests/decoding/test_batches.py",),
    ),
    Fault(
        name="positions-count-padding",
        module="decoding.padded.rows",
        text="self._mask.cumsum(1)",
        replacement="torch.ones_like(self._mask).cumsum(1)",
        breaks="A model with learned positions answers a short prompt otherwise beside a longer one.",
        tests=("tests/decoding/test_families.py",),
    ),
    Fault(
        name="a-token-taken-back-keeps-its-place",
        module="decoding.packed.rows",
        text="self._lengths[row] -= count",
        replacement="self._lengths[row] -= 0",
        breaks="After contrast has taken a token back, all later ones of that request are a place too far.",
        tests=("tests/decoding/test_packed.py",),
    ),
    Fault(
        name="guesses-consume-the-generator",
        module="decoding.requests.choice",
        text="generator.set_state(state)",
        replacement="state.clone()",
        breaks="A seed draws other tokens when amateurs lag.",
        tests=("tests/decoding/test_lagging.py",),
    ),
    Fault(
        name="a-window-unseen-by-chunks",
        module="decoding.packed.attention",
        text="self.mask &= key > query - window",
        replacement="self.mask &= key > query - window - 1",
        breaks="A model with a sliding window looks one token too far back when several tokens are fed.",
        tests=("tests/decoding/test_packed.py",),
    ),
    Fault(
        name="a-cache-that-does-not-grow",
        module="decoding.padded.rows",
        text="self._proof.check_grown(self._cache, held, tokens)",
        replacement="self._proof.extent(self._cache)",
        breaks="With gradient checkpointing on, each step sees one token, and nothing says so.",
        tests=("tests/decoding/test_proof.py",),
    ),
    Fault(
        name="host-that-waits",
        module="cold_kernels.ascend.host_clock",
        text="finished = max(finished, queued) + device_us",
        replacement="finished = queued = max(finished, queued) + device_us",
        breaks="Eager mode is modelled as if the host waited for every launch, so that few launches look better.",
        tests=("tests/ascend/test_host_clock.py",),
    ),
    Fault(
        name="goals-of-the-nominal-chip",
        module="bench.layers.goals",
        text="return min(nominal, reached) if more else max(nominal, reached)",
        replacement="return nominal",
        breaks="A goal counts as met on the nominal chip alone, whatever the plausible ones say.",
        tests=("tests/bench/test_goals.py",),
    ),
    Fault(
        name="layers-that-do-not-act",
        module="decoding.layers.injection",
        text="        now.check()",
        replacement="        now.shape",
        breaks="A layer that something runs in the place of gives the base model's tokens as the expert's.",
        tests=("tests/decoding/test_bypassed.py",),
    ),
    Fault(
        name="fit-without-weights",
        module="tuner.calibration.fit",
        text="pull = slopes.T @ (weights * off)",
        replacement="pull = slopes.T @ off",
        breaks="A chip that is calibrated gets other constants than those that explain its times.",
        tests=("tests/tuner/test_calibrate.py",),
    ),
    Fault(
        name="flag-overtakes-its-pipe",
        module="cold_kernels.ascend.simulator.mutation.interleaving",
        text="else not self.running[pipe]",
        replacement="else True",
        breaks="Mutants are judged by orders that no device takes, and whole programs count as wrong.",
        tests=("tests/ascend/simulator/test_mutants.py",),
    ),
    Fault(
        name="parts-without-scale-interpreted",
        module="cold_kernels.bgmv.shrink",
        text="axis=1) * scale",
        replacement="axis=1) * (scale if SPLIT_H == 1 else 1.0)",
        breaks="The source computes something else where a table splits the hidden size, on every back end.",
        tests=("tests/test_interpreter.py::test_interpreted[every other kernel-installed]",),
    ),
    Fault(
        name="cache-without-versions",
        module="cold_kernels.ascend.toolchain",
        text="options=asdict(options), versions=toolchain.versions",
        replacement="options=asdict(options)",
        breaks="After an upgrade of the compiler its old programs are still used.",
        tests=("tests/ascend/test_toolchain.py",),
    ),
    Fault(
        name="overlap-half-checked",
        module="cold_kernels.ops.checks",
        text="if widths[0] <= ahead and ahead + widths[1] <= pitch:",
        replacement="if widths[0] <= ahead:",
        breaks="An operator overwrites the columns of its input that lie behind its output's.",
        tests=("tests/ops/test_expand.py",),
    ),
    Fault(
        name="bucket-by-difference",
        module="cold_kernels.tables",
        text="abs(math.log2((one[dim] + 1) / (other[dim] + 1)))",
        replacement="abs(one[dim] - other[dim])",
        breaks="A launch takes what was tuned for far fewer rows, as the difference is smaller.",
        tests=("tests/test_tables.py",),
    ),
    Fault(
        name="cache-without-line",
        module="cold_kernels.ascend.toolchain",
        text="line=source.line, ",
        replacement="",
        breaks="Reports of a kernel that moved within its file name the lines where it was.",
        tests=("tests/ascend/test_worker.py",),
    ),
    Fault(
        name="worker-forgets-files",
        module="cold_kernels.ascend.worker",
        text="stamps.update(_stamps_of(set(sys.modules) - before))",
        replacement="stamps = _stamps_of(set(sys.modules) - before)",
        breaks="A kernel that is edited after another one was compiled is compiled as it was before.",
        tests=("tests/ascend/test_worker.py",),
    ),
    Fault(
        name="low-end-not-held",
        module="tuner.calibration.fit",
        text="np.maximum(self.low - theta, theta - self.high)",
        replacement="theta - self.high",
        breaks="A calibrated chip gets constants below what any source allows, on the word of noise.",
        tests=("tests/tuner/test_fit.py",),
    ),
    Fault(
        name="outliers-at-full-weight",
        module="tuner.calibration.fit",
        text="np.minimum(1, OUTLIER * sigma / np.maximum(np.abs(off), 1e-12)) / sigma**2",
        replacement="1 / sigma**2",
        breaks="One disturbed measurement bends all constants of a calibrated chip.",
        tests=("tests/tuner/test_fit.py",),
    ),
    Fault(
        name="spread-ignored",
        module="tuner.calibration.fit",
        text="np.hypot(self.scale, self.spread / 2)",
        replacement="np.full_like(self.spread, self.scale)",
        breaks="Times that scatter count as much in a calibration as times that do not.",
        tests=("tests/tuner/test_fit.py",),
    ),
    Fault(
        name="pull-without-nominal",
        module="tuner.calibration.fit",
        text=" - ((theta - self.start) / self.width**2)[free]",
        replacement="",
        breaks="Times that contradict each other move a chip's constants as if they were sure.",
        tests=("tests/tuner/test_fit.py",),
    ),
    Fault(
        name="misfit-one-sided",
        module="tuner.calibration.calibrate",
        text="max(one.us / us, us / one.us) - 1",
        replacement="one.us / us - 1",
        breaks="A chip that simulates everything too slow is reported as one that fits.",
        tests=("tests/tuner/test_fit.py",),
    ),
    Fault(
        name="bandwidth-shared-equally",
        module="cold_kernels.ascend.simulator.timing.cores",
        text="sum(moved) / most",
        replacement="float(len(moved))",
        breaks="A core that copies alone is simulated with a fortieth of the bandwidth.",
        tests=("tests/ascend/simulator/test_traffic.py",),
    ),
    Fault(
        name="flag-set-again-unseen",
        module="cold_kernels.ascend.simulator.hazards.order",
        text="if (core, flag) in flags:",
        replacement="if (core, flag) in flags and flags[core, flag][1] is not operation:",
        breaks="A flag that a loop sets twice without a wait hangs the device and passes here.",
        tests=("tests/ascend/simulator/test_hazards.py",),
    ),
)

FAULTS = {fault.name: fault for fault in _TABLE}
"""By name, in the order in which they are planted."""
