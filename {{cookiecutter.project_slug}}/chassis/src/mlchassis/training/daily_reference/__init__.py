"""Reference of a bundle for monitoring: counts of values by day, and effects on the loss."""
