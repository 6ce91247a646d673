"""Where the cycles of a simulated launch go."""
