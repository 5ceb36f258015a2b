"""The driver of the measurements by hand: connects to what it is told on standard input, and runs one task."""

import json
import sys
import time

# Imported while the nodes start, as somebody who knows Ray does it.
import ray

order = json.loads(sys.stdin.readline())
ray.init(address=order["address"], _node_ip_address=order["ip"], log_to_driver=False)


@ray.remote(num_cpus=1)
def job() -> str:
    """Be somewhere."""
    return ray.util.get_node_ip_address()


ray.get(job.remote(), timeout=120)
print("RESULT", time.time(), flush=True)
ray.shutdown()
