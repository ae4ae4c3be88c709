"""Firewalls: kept and shown, but they filter nothing here."""
