"""Certificates for load balancers."""
