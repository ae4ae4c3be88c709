"""`make cluster`."""
