"""`./node-images COMMAND`: what people do beside `pulumi up`. Works from exports and the API; decisions stay in `images`."""
