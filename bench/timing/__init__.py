"""What takes time on this machine, always beside a reference in the same run."""
