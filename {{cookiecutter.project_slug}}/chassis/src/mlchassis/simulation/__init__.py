"""Simulation of production: the months after training are played through the real service."""
