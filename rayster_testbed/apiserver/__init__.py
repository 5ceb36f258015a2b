"""The testbed's Kubernetes API: one process that keeps objects and answers clients as a real API server does."""
