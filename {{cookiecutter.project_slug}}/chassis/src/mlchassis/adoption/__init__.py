"""A team's own table."""
