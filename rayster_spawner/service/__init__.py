"""RaySTER's service: live states for the pages, live pods for the sites' agents, and the sweep of orphan pods.

A process of its own beside the hub, with a Kubernetes credential of its own. It keeps nothing: killed and started
again it knows what it knew within seconds, and a restart of the hub does not touch its streams.
"""
