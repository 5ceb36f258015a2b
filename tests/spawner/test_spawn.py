"""Servers from the request to their end, on a real hub and the testbed's API server."""


def test_a_cloud_server_starts_and_stops(hub, site, until):
    assert hub.spawn("cleo", {"profile": "cloud"}).status_code == 202
    site.wait_for("jupyter-cleo")
    site.run("jupyter-cleo")
    until(lambda: hub.is_ready("cleo"))
    assert hub.stop("cleo").status_code == 204
    assert site.pod("jupyter-cleo") is None
    assert hub.tokens("cleo") == []


def test_a_queued_server_is_pending_until_it_answers(hub, site, until):
    assert hub.spawn("quinn", {"profile": "padova"}).status_code == 202
    site.queue("jupyter-quinn")
    assert hub.server("quinn")["pending"] == "spawn"
    site.run("jupyter-quinn")
    until(lambda: hub.is_ready("quinn"))
