"""The operators inside other engines: each engine in a module of its own, which alone imports it."""
