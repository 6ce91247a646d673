"""How far simulated choices can be trusted: on other chips, beside published times, on broken programs."""
