"""What ran on the simulated device, for people and for programs."""
