"""The codes of all findings: what ``--json`` says and ``--fail-on`` takes."""

SCALAR_FALLBACK = "scalar-fallback"
SHORT_COPIES = "short-copies"
GRID_BEYOND_CORES = "grid-beyond-cores"
CONSTEXPR_FOLLOWS_BATCH = "constexpr-follows-batch"
MASKED_BRANCHES = "masked-branches"
EXPOSED_LATENCY = "exposed-latency"
TURNED_OPERAND = "turned-operand"
WAITING_CUBE = "waiting-cube"

CODES = {
    SCALAR_FALLBACK: "an operation that the vector unit or the copy engine cannot do, so that the scalar unit does it "
    "element by element",
    SHORT_COPIES: "a copy in rows of less than 64 bytes",
    GRID_BEYOND_CORES: "more programs than the chip has cores for them",
    CONSTEXPR_FOLLOWS_BATCH: "a tl.constexpr that follows the size of the batch: every size compiles anew",
    MASKED_BRANCHES: "a mask that keeps a copy alive which it makes useless: both sides of tl.where are loaded, or a "
    "tile is filled before its load",
    EXPOSED_LATENCY: "a load in a loop whose latency nothing hides",
    TURNED_OPERAND: "an operand of tl.dot that a vector core transposes and hands to the cube core",
    WAITING_CUBE: "a cube core that waits for its vector cores",
}
"""What each of them means."""
