"""Where the hub looks for a server, and whether what answers there is one."""

import pytest

from rayster_spawner.life.server_probe import server_answers

from .processes import own_ip


def pod(ip, port=23456):
    """Return a pod with an address."""
    ports = [{"name": "notebook-port", "containerPort": port}]
    return {
        "metadata": {"name": "jupyter-ada"},
        "spec": {"containers": [{"name": "sidecar"}, {"name": "notebook", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip},
    }


URLS = {
    "address": ({}, "10.0.0.1", "http://10.0.0.1:23456"),
    "ipv6": ({}, "fd00::1", "http://[fd00::1]:23456"),
    "service": ({"services_enabled": True}, "10.0.0.1", "http://jupyter-ada.rayster.svc.cluster.local:23456"),
    "pod_connect_ip": (
        {"pod_connect_ip": "jupyter-{username}.svc"},
        "10.0.0.1",
        "http://jupyter-ada.svc:23456",
    ),
    "hook": ({"get_pod_url": lambda spawner, pod: "http://elsewhere:1"}, "10.0.0.1", "http://elsewhere:1"),
}


@pytest.mark.parametrize(("traits", "ip", "url"), URLS.values(), ids=URLS)
async def test_url(make_spawner, traits, ip, url):
    assert make_spawner(**traits)._get_pod_url(pod(ip)) == url


async def test_url_of_a_host_name_k11(make_spawner):
    assert make_spawner()._get_pod_url(pod("node7.site.example")) == "http://node7.site.example:23456"


async def test_url_is_taken_into_the_hubs_server(make_spawner):
    spawner = make_spawner()
    committed = []
    spawner.user.db.commit = lambda: committed.append(
        (spawner.server.proto, spawner.server.ip, spawner.server.port)
    )
    for url, parts in {
        "http://10.0.0.1:23456": ("http", "10.0.0.1", 23456),
        "https://[fd00::1]:443/": ("https", "fd00::1", 443),
        "http://elsewhere": ("http", "elsewhere", 80),
        "https://elsewhere/path": ("https", "elsewhere", 443),
    }.items():
        spawner.take_url(url)
        assert committed[-1] == parts, "at once: the hub rolls back what is not committed when a request ends"


async def test_only_a_server_with_this_base_url_answers(site):
    port = site.serve_at(own_ip(), 0, "/user/ada/").server_port
    assert await server_answers(f"http://{own_ip()}:{port}/user/ada/")
    assert not await server_answers(f"http://{own_ip()}:{port}/user/bob/")
    assert not await server_answers("http://127.0.0.1:1/user/ada/")
    assert not await server_answers("http://no such host:1/user/ada/")
