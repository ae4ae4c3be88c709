"""Faults that tests order by name: *kinds* says which there are, *models* which of them hits what."""
