"""Whether contrast helps: studies of accuracy, with intervals."""
