"""What a compiled program does that a device may do otherwise: races, unwritten bytes, flags that do not pair."""
