"""The project's files that an adoption writes, deletes and protects."""
