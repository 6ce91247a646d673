"""Built-in tasks, a task a file; data sets are read from the packages that ship them."""
