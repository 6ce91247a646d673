"""Other engines with this project's operators in them, beside their own: each in an environment of its own."""
