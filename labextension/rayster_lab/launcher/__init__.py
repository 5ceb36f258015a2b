"""Starts one node of a Ray cluster: in a pod or batch job (`rayster ray start`), or beside a notebook's kernel."""
