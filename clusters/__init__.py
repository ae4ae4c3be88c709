"""The objects of Cluster API that boot machines from node images."""
