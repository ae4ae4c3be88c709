"""Set-up: the Python environment, the Pulumi engine and its plugins, and the system packages of the sandbox.

It runs before any of them is there, so it needs nothing but Python's standard library.
"""
