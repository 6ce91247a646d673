"""What people suffer from in a launch, by name: a file for each finding, `of_launch` for all of them."""
