"""Stands in for the KubeRay operator 1.7: keeps the head service, the token and the pods of every RayCluster.

What it does, and in which words, follows `ray-operator/controllers/ray` of KubeRay 1.7. It has no autoscaler, no
ingress and no fault tolerance of Ray's head: a cluster that asks for one of them is refused with an event.
"""
