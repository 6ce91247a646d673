"""What is shown of a model before anything is attached to it."""
