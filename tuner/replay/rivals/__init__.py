"""What a search is compared with, on the same recorded spaces."""
