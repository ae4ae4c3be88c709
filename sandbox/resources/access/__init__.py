"""Ways into a server beside its own SSH: rescue system, console, a new root password."""
