"""The commands of ``python -m tuner``: arguments are parsed here, the work is done elsewhere."""
