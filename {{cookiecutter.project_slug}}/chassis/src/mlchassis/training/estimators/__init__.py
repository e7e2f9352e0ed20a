"""The built-in estimators, which implement the same protocol as a project's own."""
