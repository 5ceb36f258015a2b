"""The private names and habits of JupyterHub and KubeSpawner that the spawner leans on, one test each.

A failure here means that a new release changed one of them: read what its user in `rayster_spawner` needs.
"""

import inspect

import pytest
from jupyterhub import app, objects, orm, spawner, user
from jupyterhub.apihandlers import users as api_users
from jupyterhub.handlers import base, pages
from kubespawner import KubeSpawner, reflector
from kubespawner import spawner as kubespawner


def source(thing):
    """Return the source text of a thing."""
    return inspect.getsource(thing)


@pytest.mark.parametrize(
    "name",
    [
        "_spawn_pending",
        "_stop_pending",
        "_check_pending",
        "_proxy_pending",
        "_waiting_for_response",
        "_spawn_future",
    ],
)
def test_spawner_has_the_flag(name):
    assert name in vars(spawner.Spawner)


@pytest.mark.parametrize("name", ["pending", "server"])
def test_spawner_property_can_be_wrapped(name):
    assert isinstance(vars(spawner.Spawner)[name], property)


def test_pending_is_spawn_while_the_flag_is_set():
    assert "if self._spawn_pending:\n            return 'spawn'" in source(spawner.Spawner.pending.fget)


def test_active_users_are_counted_by_what_is_pending():
    assert "counts[pending + '_pending']" in source(user.UserDict.count_active_users).replace('"', "'")
    assert "active_counts['spawn_pending']" in source(base.BaseHandler.spawn_single_user)


def test_restarted_hub_skips_a_spawner_without_a_server_and_clears_the_flag():
    text = source(app.JupyterHub.init_spawners)
    assert "spawner._check_pending = True" in text
    assert text.index("if spawner.server:") < text.index("await spawner.poll()")
    assert text.rindex("not running") < text.rindex("spawner._check_pending = False")


def test_state_is_loaded_when_a_spawner_is_made():
    assert "spawner.load_state(orm_spawner.state or {})" in source(user.User._new_spawner)


def test_user_waits_for_a_server_and_stops_it_itself():
    text = source(user.User._wait_up)
    assert "await self.stop(spawner.name)" in text and 'extra_path="api"' in text.replace("'", '"')


def test_order_of_a_spawn():
    text = source(user.User.spawn)
    steps = [
        "spawner.clear_state()",
        "spawner.api_token = api_token",
        "spawner._run_apply_user_options(",
        "spawner.run_pre_spawn_hook()",
        "spawner.start()",
        "timeout=spawner.start_timeout",
        "spawner.orm_spawner.state = spawner.get_state()",
        "await self._wait_up(spawner)",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_order_of_a_stop():
    text = source(user.User.stop)
    steps = ["await spawner.poll()", "await spawner.stop()", "run_post_stop_hook()", "spawner.clear_state()"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_stopped_spawner_is_kept_when_its_spawn_failed_and_its_page_says_why():
    text = source(user.User.stop)
    assert text.index("spawner._spawn_future.exception()") < text.index("self.spawners.pop(server_name)")
    assert "spawner._spawn_future.exception()" in source(pages.SpawnPendingHandler.get)
    assert "spawner.pending or spawner._failed" in source(base.UserUrlHandler.get)


def test_token_of_a_server_is_known_by_its_note():
    text = source(user.User.spawn)
    assert 'base_url = url_path_join(self.base_url, url_escape_path(server_name), "/")' in text
    assert 'note = f"Server at {base_url}"' in text and "new_api_token(note=note" in text


def test_spawn_takes_options_by_name():
    assert "options" in inspect.signature(user.User.spawn).parameters


def test_failed_spawn_is_counted_before_our_callbacks_and_the_limit_is_the_spawners():
    text = source(base.BaseHandler.spawn_single_user)
    assert "self.settings['failure_count'] += 1" in text
    assert "failure_limit = spawner.consecutive_failure_limit" in text
    added = text.index("add_done_callback(_track_failure_count)")
    assert text.index("spawner._spawn_future = ") < added
    between = text[text.index("spawner._spawn_future = ") : added]
    assert not any(
        line.strip().startswith("await ") for line in between.splitlines() if "async def" not in line
    )


def test_handler_is_given_to_the_spawner_and_has_the_applications_settings():
    assert "handler=self" in source(base.BaseHandler.spawn_single_user)
    assert "spawner.handler = handler" in source(user.User.spawn)


def test_cancel_cancels_the_spawn_future_and_then_stops():
    text = source(api_users.UserServerAPIHandler.delete)
    assert text.index("spawn_future.cancel()") < text.index("self.stop_single_user(")


def test_pages_show_our_messages():
    assert "jupyterhub_message" in source(pages.SpawnPendingHandler) or "format_exception" in source(
        pages.SpawnPendingHandler
    )


def test_spawn_link_calls_options_from_query_and_falls_back_to_the_form():
    text = source(pages.SpawnHandler._get)
    assert (
        text.index("spawner.options_from_query(")
        < text.index("except Exception")
        < text.index("await spawner.get_options_form()")
    )


def test_form_after_a_mistake_is_that_of_the_default_server():
    assert "await user.spawner.get_options_form()" in source(pages.SpawnHandler._post)


def test_hub_app_tells_when_it_has_started():
    assert "self._start_future" in source(app.JupyterHub)


def test_token_row_is_found_by_the_token():
    assert callable(orm.APIToken.find)


def test_server_object_has_the_parts_of_its_url():
    assert {"proto", "ip", "port", "base_url"} <= set(objects.Server.class_trait_names())


@pytest.mark.parametrize(
    "name",
    [
        "_start",
        "_start_watching_pods",
        "_start_watching_events",
        "_get_reflector_key",
        "_make_create_pod_request",
        "_make_delete_pod_request",
        "_get_pod_url",
        "_expand_user_properties",
        "is_pod_running",
        "get_pod_manifest",
        "load_user_options",
    ],
)
def test_kubespawner_has_the_method(name):
    assert callable(getattr(KubeSpawner, name))


def test_kubespawner_shares_its_watches_in_a_dictionary_of_the_class():
    assert isinstance(KubeSpawner.reflectors, dict)
    text = source(KubeSpawner._start_reflector)
    assert "first_load_future" in text and "self.__class__.reflectors[key] = " in text


def test_watch_has_a_task_and_a_first_load():
    text = source(reflector.ResourceReflector)
    assert "self.watch_task = " in text and "self.first_load_future = " in text


def test_kubespawners_start_does_what_ours_builds_on():
    text = source(KubeSpawner._start)
    steps = [
        "self.load_user_options()",
        "self._start_watching_pods()",
        "self.get_pod_manifest()",
        "self._make_create_pod_request",
        "self.is_pod_running(self.pod_reflector.pods.get(ref_key, None))",
        "return self._get_pod_url(pod)",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_profile_list_is_read_in_load_user_options_and_the_form_only():
    readers = [
        name
        for name, method in vars(KubeSpawner).items()
        if inspect.isfunction(method) and "self.profile_list" in source(method)
    ]
    assert set(readers) <= {"load_user_options", "_render_options_form_dynamically", "_options_form_default"}


def test_manifest_port_and_environment_are_read_when_the_pod_is_built():
    assert "port=self.port" in source(KubeSpawner.get_pod_manifest)
    assert "env=self.get_env()" in source(KubeSpawner.get_pod_manifest)
    assert "self.port" in source(spawner.Spawner.get_env)


def test_models_come_back_from_plain_data():
    from kubernetes_asyncio.client import ApiClient

    assert list(inspect.signature(ApiClient.deserialize).parameters) == ["self", "response", "response_type"]
    assert callable(kubespawner.exponential_backoff)


def test_hub_waits_for_what_start_returns_and_kubespawner_returns_a_task():
    assert "f = maybe_future(spawner.start())" in source(user.User.spawn)
    assert "return self._start_future" in source(KubeSpawner.start)
    assert "asyncio.ensure_future(self._start())" in source(KubeSpawner.start)


def test_row_of_a_server_has_what_limits_count_and_is_written_before_options_are_taken():
    assert {"id", "user_id", "server_id", "state"} <= set(orm.Spawner.__table__.columns.keys())
    assert "json.dumps(value" in source(orm.JSONDict.process_bind_param), "the state is JSON text"
    text = source(user.User.spawn)
    assert text.index("spawner.server = server = Server(") < text.index("spawner._run_apply_user_options(")


def test_page_of_a_server_that_does_not_run_can_find_its_spawner():
    for handler in (base.UserUrlHandler, pages.SpawnPendingHandler):
        text = source(handler.get)
        page = text[text.index('"not_running.html"') :]
        assert "user=user" in page and "server_name=server_name" in page
        assert "user.spawners[server_name]" in text


def test_state_is_saved_again_after_a_stop():
    text = source(user.User.stop)
    assert text.index("spawner.clear_state()") < text.index("spawner.orm_spawner.state = spawner.get_state()")


def test_spawn_puts_a_new_row_in_the_place_of_the_old_one_and_leaves_the_state_to_the_spawner():
    text = source(user.User.spawn)
    steps = [
        "spawner.server = server = Server(",
        "spawner.user_options = options",
        "spawner.clear_state()",
        "spawner._run_apply_user_options(",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "orm_spawner.state" not in text[places[0] : places[-1]]


def test_request_that_ends_rolls_back_what_is_not_committed():
    assert "self.db.rollback()" in source(base.BaseHandler.finish)


def test_restarted_hub_asks_for_the_address_of_a_running_server():
    text = source(app.JupyterHub.init_spawners)
    assert text.index("url = await spawner.get_url()") < text.index("await user._wait_up(spawner)")
