"""Images that run Kubernetes on servers with a kernel of their own, before they are published: `python -m tests.kubernetes`.

Where processors are emulated each takes a quarter of an hour, so `make test` leaves them out. What came of them stands in
outcomes.yaml, from which docs/ran-kubernetes.md is made.
"""
