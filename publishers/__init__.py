"""What the projects that publish our files say of them: HTTP at the edge, for the program and for ./node-images."""
