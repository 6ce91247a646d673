"""The schemes by which others compute LoRA, as Triton specs of this project's own: they run in one simulator with ours."""
