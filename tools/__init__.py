"""What a machine needs to run the program: the engine and its plugins, the artifact mirror, and a first try of it all."""
