"""What searches have found, as pages, pictures and files that other tools read."""
