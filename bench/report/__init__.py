"""What was accepted and what was timed last, as one page and one picture."""
