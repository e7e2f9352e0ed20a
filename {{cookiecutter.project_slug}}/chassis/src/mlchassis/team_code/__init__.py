"""The code of a team: imported, checked, and named where it fails."""
