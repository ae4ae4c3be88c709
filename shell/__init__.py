"""What is asked of the shell of this machine, for the program and for ./node-images."""
