"""A team's own routes and middleware in the service."""
