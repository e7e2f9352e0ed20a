"""Monitoring of production: the prediction log and late labels against a bundle's reference."""
