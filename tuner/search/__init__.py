"""The search of configurations: groups of cases, studies, trials, and the decision."""
