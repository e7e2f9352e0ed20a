"""A project's folder: git repository, files that tools wrote, DVC remotes."""
