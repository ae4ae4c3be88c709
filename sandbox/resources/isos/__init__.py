"""ISOs: listed and attached to servers, which do not see them."""
