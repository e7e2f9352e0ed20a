"""Data sources: files, S3, SQL, or a function of the project."""
