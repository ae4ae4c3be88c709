"""Pulumi component resources: the only place where resources are wired."""
