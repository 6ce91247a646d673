"""The schemes by which others compute LoRA, as Triton specs of this project's own, for one simulator with ours."""
