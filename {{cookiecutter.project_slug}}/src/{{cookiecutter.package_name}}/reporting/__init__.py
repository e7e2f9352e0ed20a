"""Pages for people: what a model is and how good, and what the data are."""
