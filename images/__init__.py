"""Pure decisions: from a stack file to the images to build, their names, digests and labels, and what to keep."""
