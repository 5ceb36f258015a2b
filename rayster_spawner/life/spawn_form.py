"""The spawn form of a server: filled in, with what is known of each site and its limits, and read again."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from tornado import web
from traitlets import Unicode, default

from ..form import LivePage, options_from_form, options_from_query, render_form, said_anyway
from ..options import FIELDS, FieldError, OptionsError
from ..profiles import Profile
from ..site_facts import SiteState, SiteStatus
from ..text import shown
from ..tickets import PageView, make_ticket
from .server_options import ServerOptionsSpawner
from .spawn_errors import options_refused


class LinkShown(Exception):
    """Ends the handling of a spawn link: the form is shown with the link's options, and nothing is started."""

    jupyterhub_message = ""


# What the next form of a user is filled in with, instead of what was saved, what is wrong with it, and whether a site
# that is away is wanted anyway. By user, because the hub renders the form after a mistake with the spawner of the
# user's default server, whichever server the form was for.
_next_form: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class SpawnForm(ServerOptionsSpawner):
    """KubeSpawner with RaySTER's form and spawn links."""

    service_url = Unicode(
        "",
        config=True,
        help="""
        Where browsers find RaySTER's service, such as `/services/rayster`. Empty: there is none.

        The pages read live states of sites and jobs from it, also while the hub is away. Without it they show what
        the hub knew when it printed them, and the progress that the hub tells.
        """,
    )

    service_token = Unicode(
        "",
        config=True,
        help="""
        The service's API token, with which the hub signs what its pages show to the service. A secret.
        """,
    )

    @default("options_form")
    def _options_form_default(self) -> Any:
        return lambda spawner: spawner.render_options_form()

    @default("options_from_form")
    def _options_from_form_default(self) -> Any:
        return self._read_form

    async def _read_form(self, formdata: dict[str, list[Any]]) -> dict[str, Any]:
        """Return the options of a submitted form. Raises HTTPError; the form then comes back as it was sent."""
        raw = options_from_form(formdata)
        try:
            profile, options = self.parse(raw)
            if not said_anyway(formdata, profile.name):
                await self._check_reachable(profile)
            self.check_limits(profile)
            return options.as_json()
        except OptionsError as error:
            is_anyway = said_anyway(formdata, str(raw.get("profile")))
            _next_form[self.user] = raw, error.errors, is_anyway
            raise options_refused(error) from error

    async def _check_reachable(self, profile: Profile) -> None:
        """Refuse a profile whose site does not answer; its user may say that it is wanted all the same."""
        sites = self.sites
        if sites is None or sites.status(profile).state is not SiteState.UNREACHABLE:
            return
        # The page hears of sites by another way, and may know better already: nobody is refused for old news.
        await sites.look_at_nodes()
        status = sites.status(profile)
        if status.state is SiteState.UNREACHABLE:
            reason = f"{status.text}. Say that you want to queue there anyway, or choose another profile"
            raise OptionsError([FieldError("profile", shown(profile.name), reason)])

    def options_from_query(self, query_data: dict[str, list[str]]) -> dict[str, Any]:
        """Show the form filled in with a spawn link's options: a link that somebody sent must not start a job.

        Raises LinkShown, or the HTTPError of a link whose options cannot be used; the hub shows the form after both.
        """
        raw = options_from_query(query_data)
        _next_form[self.user] = raw, (), False
        try:
            self.parse(raw)
        except OptionsError as error:
            _next_form[self.user] = raw, error.errors, False
            raise options_refused(error) from error
        raise LinkShown(f"spawn link of {self._log_name} is shown as a form; nothing is started")

    def render_options_form(self) -> str:
        """Return the form as HTML. Raises HTTPError 403 when no profile is open to the user."""
        chosen, errors, is_anyway = _next_form.pop(self.user, ()) or (*self._remembered(), False)
        try:
            self.parse({})
        except OptionsError as error:
            # Never an empty form: the hub would start a pod without a profile.
            raise options_refused(error) from error
        allowed = self._allowed()
        return render_form(
            allowed,
            chosen=chosen,
            errors=errors,
            statuses=self._statuses(allowed),
            notes=self.limit_notes(allowed),
            live=self.live_page(),
            is_anyway=is_anyway,
        )

    def live_page(self) -> LivePage | None:
        """Return where this server's pages find live news, and with which ticket; None without a service."""
        if not (self.service_url and self.service_token):
            return None
        try:
            profiles = tuple(profile.name for profile in self._allowed())
        except web.HTTPError:
            profiles = ()
        ticket = make_ticket(self.service_token, PageView(self.user.name, self.name, profiles))
        return LivePage(self.service_url.rstrip("/"), ticket)

    def _allowed(self) -> list[Profile]:
        return self.current_profiles().allowed(self.user.name, frozenset(self._groups()))

    def _statuses(self, profiles: Sequence[Profile]) -> dict[str, SiteStatus]:
        sites = self.sites
        return sites.statuses(profiles) if sites is not None else {}

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
