"""RaySTER, at the edge of a site: a small read-only HTTP service that tells what the batch system is doing."""
