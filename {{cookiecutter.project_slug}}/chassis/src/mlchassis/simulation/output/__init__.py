"""Tables and picture of a simulation."""
