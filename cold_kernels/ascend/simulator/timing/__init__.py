"""When the events of executed programs happen on a chip."""
