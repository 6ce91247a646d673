"""What people suffer from in a kernel, by name: a file for each finding, `named` for all of them."""
