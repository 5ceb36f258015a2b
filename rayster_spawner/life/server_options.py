"""Options of a server on every path: form, spawn link, REST API and what was saved last time."""

from typing import Any
from weakref import WeakKeyDictionary

from tornado import web
from traitlets import Any as AnyTrait
from traitlets import TraitError, Unicode, default, validate

from ..form import options_from_form, options_from_query, render_form
from ..options import FIELDS, FieldError, OptionsError, ServerOptions, parse_options
from ..profile_files import ProfilesError, validate_profiles
from ..profiles import Profile, ProfileSet
from .pod_requests import PodRequests
from .profile_source import current_profiles
from .spawn_errors import options_refused


class LinkShown(Exception):
    """Ends the handling of a spawn link: the form is shown with the link's options, and nothing is started."""

    jupyterhub_message = ""


# What the next form of a user is filled in with, instead of what was saved, and what is wrong with it. By user,
# because the hub renders the form after a mistake with the spawner of the user's default server, whichever server
# the form was for.
_next_form: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class ServerOptionsSpawner(PodRequests):
    """KubeSpawner whose options are those of RaySTER's profiles; `profile_list` and its form are not used."""

    profiles_file = Unicode(
        "",
        config=True,
        help="""
        Path of the profiles: a YAML file with `profiles:`, or a Helm values file that holds them under
        `custom.rayster`.

        The file is read again when it changes, without a restart of the hub. A change that cannot be used is logged
        with every mistake, and the profiles from before stay. Check a file with `rayster profiles check FILE`.

        Example::

            c.RaysterSpawner.profiles_file = "/usr/local/etc/jupyterhub/profiles.yaml"
        """,
    )

    profiles = AnyTrait(
        None,
        allow_none=True,
        config=True,
        help="""
        The profiles themselves, as a `ProfileSet` or as the mapping that a profiles file holds, instead of
        `profiles_file`.
        """,
    )

    # The REST API of JupyterHub 5 hands over any JSON value; a `Dict` would raise in the middle of a spawn, after
    # the row of the server and its token were made, and leave a server that is for ever "running".
    user_options = AnyTrait(help="What the user chose; hostile until it is one of `ServerOptions.as_json()`.")

    profile: Profile | None = None
    options: ServerOptions | None = None
    _last_good_options: dict[str, Any] | None = None

    @validate("profiles")
    def _validate_profiles(self, proposal: Any) -> ProfileSet | None:
        if proposal.value is None or isinstance(proposal.value, ProfileSet):
            return proposal.value
        profiles, mistakes = validate_profiles(proposal.value)
        if profiles is None:
            raise TraitError("\n".join(f"{'.'.join(map(str, m.path))}: {m.reason}" for m in mistakes))
        return profiles

    @default("user_options")
    def _no_options(self) -> dict[str, Any]:
        return {}

    @default("apply_user_options")
    def _apply_user_options_default(self) -> Any:
        # The hub's hook for this: what it raises refuses the spawn before anything is created in the cluster.
        return lambda spawner, user_options: spawner.take_options()

    @default("options_form")
    def _options_form_default(self) -> Any:
        return lambda spawner: spawner.render_options_form()

    @default("options_from_form")
    def _options_from_form_default(self) -> Any:
        return self._read_form

    def current_profiles(self) -> ProfileSet:
        """Return the hub's profiles as they are now. Raises HTTPError 500 when there are none yet."""
        if self.profiles is not None:
            return self.profiles
        try:
            return current_profiles(self.profiles_file, self.log)
        except ProfilesError as error:
            self.log.error("There are no profiles:\n%s", error)
            raise web.HTTPError(
                500, "The hub's profiles cannot be read. Please tell its administrators."
            ) from error

    def parse(self, untrusted: Any) -> tuple[Profile, ServerOptions]:
        """Return the profile and options of ``untrusted`` for this server's user. Raises OptionsError."""
        return parse_options(untrusted, self.current_profiles(), self._groups(), user=self.user.name)

    def _groups(self) -> list[str]:
        return [group.name for group in self.user.groups]

    def take_options(self) -> None:
        """Make `user_options` those of the present spawn, in their full and normal form, or refuse the spawn.

        Raises HTTPError 400 or 403. Refused options are not remembered for the next spawn either.
        """
        try:
            self.profile, self.options = self.parse(self.user_options)
        except OptionsError as error:
            self._remember(self._last_good_options or {})
            raise options_refused(error) from error
        self._last_good_options = self.options.as_json()
        self._remember(self._last_good_options)

    def _remember(self, options: dict[str, Any]) -> None:
        self.user_options = options
        if self.orm_spawner is not None and self.orm_spawner.user_options != options:
            self.orm_spawner.user_options = options
            self.user.db.commit()

    async def load_user_options(self) -> None:
        """Parse and apply `user_options`. Called again after the admin's hooks, which may have changed them."""
        self.take_options()

    def get_state(self) -> dict[str, Any]:
        """Add the options to go back to when others are refused."""
        state = super().get_state()
        if self._last_good_options:
            state["last_options"] = self._last_good_options
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take the last good options up again."""
        super().load_state(state)
        self._last_good_options = state.get("last_options")

    # Form and links

    def _read_form(self, formdata: dict[str, list[Any]]) -> dict[str, Any]:
        """Return the options of a submitted form. Raises HTTPError; the form then comes back as it was sent."""
        raw = options_from_form(formdata)
        try:
            return self.parse(raw)[1].as_json()
        except OptionsError as error:
            _next_form[self.user] = raw, error.errors
            raise options_refused(error) from error

    def options_from_query(self, query_data: dict[str, list[str]]) -> dict[str, Any]:
        """Show the form filled in with a spawn link's options: a link that somebody sent must not start a job."""
        raw = options_from_query(query_data)
        _next_form[self.user] = raw, self._mistakes(raw)
        raise LinkShown(f"spawn link of {self._log_name} is shown as a form; nothing is started")

    def render_options_form(self) -> str:
        """Return the form as HTML. Raises HTTPError 403 when no profile is open to the user."""
        chosen, errors = _next_form.pop(self.user, ()) or self._remembered()
        try:
            self.parse({})
        except OptionsError as error:
            # Never an empty form: the hub would start a pod without a profile.
            raise options_refused(error) from error
        allowed = self.current_profiles().allowed(self.user.name, frozenset(self._groups()))
        return render_form(allowed, chosen=chosen, errors=errors)

    def _remembered(self) -> tuple[Any, tuple[FieldError, ...]]:
        """Return what to fill the form in with from last time, and what of it is not offered any more."""
        saved = self.user_options
        if not isinstance(saved, dict):
            return {}, ()
        errors = tuple(error for error in self._mistakes(saved) if error.field in FIELDS)
        return saved, errors

    def _mistakes(self, raw: Any) -> tuple[FieldError, ...]:
        try:
            self.parse(raw)
        except OptionsError as error:
            return error.errors
        return ()
