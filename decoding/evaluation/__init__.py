"""Whether contrast helps: problems, answers that are kept, how they compare."""
