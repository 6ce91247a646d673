"""What people suffer from in a kernel: the findings of its launches, and what only a kernel as a whole shows."""
