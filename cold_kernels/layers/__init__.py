"""LoRA in the linear layers of a stock model: what `decoding` and the integrations have in common."""
