"""Adapters in a stock model's linear layers."""
