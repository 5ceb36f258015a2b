"""Talks to RaySTER's service: clusters over HTTP, and one stream of what becomes of them."""
