"""Stands in for a cluster's DNS: the names of headless services lead to their pods' addresses, inside containers.

Containers of the testbed share this machine's resolver, and nobody may change that. So the names are kept in a file,
and Python in containers looks there first: `resolver.py` comes in as `sitecustomize`, by PYTHONPATH. Other programs do
not resolve them; names on a Python program's command line are therefore replaced by addresses before it sees them.
"""
