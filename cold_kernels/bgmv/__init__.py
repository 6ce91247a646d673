"""Batched gather matrix-vector products: many LoRA adapters in one batch."""
