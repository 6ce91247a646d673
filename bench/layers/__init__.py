"""The LoRA of whole layers by our kernels and by the peers' schemes, in one simulator."""
