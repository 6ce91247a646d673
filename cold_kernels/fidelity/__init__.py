"""How far the modelled times can be believed: published times to compare with, and the fit of the constants."""
