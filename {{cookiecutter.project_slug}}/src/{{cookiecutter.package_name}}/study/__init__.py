"""Outside the graph: what features are worth, how a model ages, which of two is better."""
