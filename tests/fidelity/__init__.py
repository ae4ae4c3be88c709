"""How near the sandbox is to the real API: the tests that others wrote for that one, run against it (`make fidelity`)."""
