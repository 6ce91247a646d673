"""What is counted in compiled programs, held against what was accepted: any change fails."""
