"""A team's own table into the project: its facts, its contract, the settings it needs."""
