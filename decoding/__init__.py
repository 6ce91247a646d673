"""Contrastive LoRA decoding: expert and base rows in one batch, over one copy of the weights."""
