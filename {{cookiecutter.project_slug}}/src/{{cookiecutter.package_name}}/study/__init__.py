"""Questions outside the graph: what features are worth, how a model ages, which of two wins."""
