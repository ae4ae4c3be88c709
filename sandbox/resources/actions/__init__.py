"""Actions: everything that takes time."""
