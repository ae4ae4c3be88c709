"""Metrics of servers: in the shape of the API, without any load."""
