"""The testbed's stand-in for interLink's virtual kubelet 0.6.2 (with its API server): a node whose pods a plugin runs.

It talks to a plugin over interLink's HTTP contract and to Kubernetes over its REST API. Two modes:

* `as-found` behaves as the real parts were found to: late and sometimes wrong statuses, one random pod refreshed per
  ten seconds, deletes that get lost, double submission after a kill at the wrong moment;
* `ideal` is what one would wish for: every pod refreshed each second, deletes repeated until they work, no pod
  submitted twice.
"""
