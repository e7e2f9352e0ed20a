"""Parameters and settings, checked and typed."""
