"""The secret that a cluster's nodes and drivers know each other by.

It is computed, not kept: the service reads no secret of the namespace, and knows the token again after a restart.
"""

import base64
import hashlib
import hmac


def cluster_token(key: str, cluster_id: str) -> str:
    """Return the Ray token of a cluster: 44 characters of base64, as KubeRay's own are.

    Arguments: ``key`` is what only the service knows, its API token; another key makes the token of a running cluster
    another one, which its head then refuses. Raises ValueError for an empty key, which everybody would know.
    """
    if not key:
        raise ValueError("a cluster's token needs the service's own token as its key")
    digest = hmac.new(key.encode(), b"ray:" + cluster_id.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
