"""What stands behind load balancers: TCP connections are led to healthy targets. Knows nothing of the API.

It runs in the sandbox's own event loop, and listens at loopback addresses of the host; for machines with a network of their own
it reaches into network namespaces, by sockets that were made there.
"""
