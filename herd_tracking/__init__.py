"""Finds the primary particle's track among the hits of the HERD Fiber Tracker with a graph network."""
