"""What is asked for, chosen, and given back."""
