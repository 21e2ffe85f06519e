"""`make bench`: what this switch costs and how fast it is, measured, never asserted."""
