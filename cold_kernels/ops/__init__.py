"""The operators: arguments checked, then the CPU path or a launch of the tuned kernel."""
