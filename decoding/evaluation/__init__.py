"""Whether contrast helps: rules that decide when to contrast, intervals of what they gain."""
