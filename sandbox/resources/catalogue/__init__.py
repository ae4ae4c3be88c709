"""What never changes: server types, locations, datacenters, prices; and resources of which there are none."""
