"""Model report and model card."""
