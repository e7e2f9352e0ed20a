"""Drift tests of a project and of Evidently on the same windows."""
