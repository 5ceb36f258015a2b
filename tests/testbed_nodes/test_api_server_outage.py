"""All parts go on when the API server is killed and started again."""

from __future__ import annotations

RUNNING = {"running": {"startedAt": "2026-11-21T00:00:00Z"}}
TOLERATIONS = [{"key": "virtual-node.interlink/no-schedule", "operator": "Exists"}]


async def test_an_api_server_outage_loses_no_pod_and_repeats_no_job(own_cluster, plugin):
    # Given a pod on a cloud node and one on a virtual node
    cluster = own_cluster.cluster
    own_cluster.start_kubelet()
    own_cluster.start_virtual_node(plugin.url, "as-found")
    cluster.start("scheduler")
    cluster.start("node_lifecycle")
    await cluster.create_pod(
        "cloud", "sh", "-c", "exec sleep 1000", nodeSelector={"kubernetes.io/os": "linux"}
    )
    before = await cluster.until_phase("cloud", "Running")

    async def offload(name):
        selector = {"kubernetes.io/hostname": "padova"}
        await cluster.create_pod(name, "jupyter", nodeSelector=selector, tolerations=TOLERATIONS)

        async def submitted():
            pod = await cluster.pod(name)
            return pod if "JobID" in (pod["metadata"].get("annotations") or {}) else None

        return await cluster.until(submitted)

    job = await offload("hpc")

    # When the API server is killed, the job starts meanwhile, and the API server is back
    own_cluster.kill_api_server()
    plugin.set_state(job, RUNNING)
    own_cluster.start_api_server()

    # Then the news arrives, new pods are served, and nothing was started twice
    await cluster.until_phase("hpc", "Running")
    await cluster.create_pod("cloud2", "true", nodeSelector={"kubernetes.io/os": "linux"})
    await cluster.until_phase("cloud2", "Succeeded")
    await offload("hpc2")
    after = await cluster.pod("cloud")
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    assert len(plugin.requests) == 2
