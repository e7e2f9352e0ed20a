"""Model bundles: written, verified, deployed and scored."""
