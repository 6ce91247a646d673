"""For the first person with an NPU: what is measured on it, how, and the file that comes of it."""
