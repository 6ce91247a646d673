"""What an execution leaves behind for whoever times it: events, and work in counts that no chip decides."""
