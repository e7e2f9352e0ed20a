"""From columns to the matrices that a model takes."""
