"""`make cluster`: two servers with kernels of their own, from one image of this program, that become a Kubernetes cluster."""
