"""System images and snapshots."""
