"""What the measurements stand on: parts of the testbed on loopback, a hub, and a site that says what it is told."""
