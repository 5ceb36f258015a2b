"""Options of a server on every path: form, spawn link, REST API and what was saved last time."""

from collections.abc import Sequence
from typing import Any

from tornado import web
from traitlets import Any as AnyTrait
from traitlets import TraitError, Unicode, default, validate

from ..options import FieldError, OptionsError, ServerOptions, parse_options
from ..profile_files import ProfilesError, validate_profiles
from ..profiles import Profile, ProfileSet
from ..text import shown
from .limits import accepted_servers, is_limited, limit_note, refusal
from .profile_source import current_profiles
from .site_view import SiteView
from .spawn_errors import options_refused


class ServerOptionsSpawner(SiteView):
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

        Raises HTTPError 400, 403 or 429. Refused options are not remembered for the next spawn either.
        """
        try:
            profile, options = self.parse(self.user_options)
            self.check_limits(profile)
        except OptionsError as error:
            self._remember(self._last_good_options or {})
            raise options_refused(error) from error
        self.profile, self.options = profile, options
        self._last_good_options = self.options.as_json()
        self._remember(self._last_good_options)

    def check_limits(self, profile: Profile) -> None:
        """Refuse a server of ``profile`` when there are as many as there may be. Raises OptionsError 403 or 429."""
        if self.orm_spawner is None or not is_limited(profile):
            return
        refused = refusal(
            profile,
            accepted_servers(self.user.db),
            user_id=self.orm_spawner.user_id,
            user=self.user.name,
            spawner_id=self.orm_spawner.id,
        )
        if refused is not None:
            error = FieldError("profile", shown(profile.name), refused.reason)
            raise OptionsError([error], status=refused.status)

    def limit_notes(self, profiles: Sequence[Profile]) -> dict[str, str]:
        """Return what the form says of the limits of each of ``profiles``, by name, where there is something to say."""
        limited = [profile for profile in profiles if is_limited(profile)]
        if self.orm_spawner is None or not limited:
            return {}
        accepted = accepted_servers(self.user.db)
        notes = {p.name: limit_note(p, accepted, self.orm_spawner.user_id) for p in limited}
        return {name: note for name, note in notes.items() if note}

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
