"""Input and output that the program and its commands share; nothing of Pulumi."""
