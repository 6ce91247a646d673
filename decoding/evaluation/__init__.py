"""Whether contrast helps: problems, answers that are kept and compared, intervals, rules for when to contrast."""
