"""How a model is called, and what it must be."""
