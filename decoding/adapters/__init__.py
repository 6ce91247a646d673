"""Adapters, from where they are."""
