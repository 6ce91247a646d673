"""What our own schemes are called, beside those of the peers."""

OURS, ASKED = "cold-kernels", "cold-kernels, cube asked for"
"""By the tables alone, and after `cold_kernels.ops.lora_on_cube_from`: the latter where it differs, for prompts."""
