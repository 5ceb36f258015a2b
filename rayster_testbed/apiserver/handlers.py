"""The verbs: one function for each thing a client may do with a resource."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .apply import apply
from .conversion import from_stored, present, watch_line
from .decoding import FieldReport, parse_body
from .deletion import DeleteOptions
from .errors import bad_request, invalid, required, unsupported_media_type
from .identity import AccountTokens
from .kinds import Kind
from .lists import list_page, render
from .logs import LogProxy
from .objects import Objects
from .patching import APPLY, change_of, parse_apply
from .queries import dry_run, flag, parse_delete, parse_list
from .requests import Call, json_response, read_body
from .reviews import Reviews, request_token
from .rules import rules_for
from .store import Record
from .subresources import bind, evict, read_scale, write_scale
from .tables import line_maker, show, show_list
from .watches import Watches

Json = dict[str, Any]
BODY_TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]


class Handlers:
    """Answers to requests that passed authorization."""

    def __init__(self, objects: Objects, watches: Watches, reviews: Reviews, tokens: AccountTokens) -> None:
        self.objects = objects
        self.watches = watches
        self._reviews = reviews
        self._tokens = tokens
        self.log = LogProxy(objects).serve

    async def get(self, call: Call) -> web.StreamResponse:
        """GET one object, or its scale."""
        record = self.objects.read(call.kind, call.namespace, call.path.name)
        if call.path.subresource == "scale":
            return json_response(read_scale(call.kind, from_stored(call.kind, record.obj)))
        if form := call.form:
            return json_response(show(call.kind, record, form))
        return json_response(present(call.kind, record))

    async def list(self, call: Call) -> web.StreamResponse:
        """GET a collection."""
        query = parse_list(call.kind, call.query, watching=False)
        page = list_page(self.objects.store, call.kind, call.list_namespace, query)
        if form := call.form:
            return json_response(show_list(call.kind, page, form))
        return json_response(render(call.kind, page, (present(call.kind, item) for item in page.records)))

    async def watch(self, call: Call) -> web.StreamResponse:
        """GET a stream of changes."""
        query = parse_list(call.kind, call.query, watching=True, name=call.path.name)
        line = line_maker(call.form) if call.form else watch_line
        return await self.watches.serve(call.request, call.kind, call.list_namespace, query, line)

    async def create(self, call: Call) -> web.StreamResponse:
        """POST a new object to a collection."""
        obj, report = await self._object(call), FieldReport(call.query.get("fieldValidation", ""))
        record = self.objects.create(call.kind, call.namespace, obj, dry_run(call.query), report)
        return self._written(call, record, report, 201)

    async def update(self, call: Call) -> web.StreamResponse:
        """PUT an object, its status or its scale."""
        obj, report, tried = (
            await self._object(call),
            FieldReport(call.query.get("fieldValidation", "")),
            dry_run(call.query),
        )
        place = (call.kind, call.namespace, call.path.name)
        if call.path.subresource == "scale":
            record = write_scale(self.objects, call.kind, self.objects.read(*place), obj, tried)
            return json_response(read_scale(call.kind, record.obj))
        record, created = self.objects.replace(*place, obj, call.path.subresource, tried, report)
        return self._written(call, record, report, 201 if created else 200)

    async def patch(self, call: Call) -> web.StreamResponse:
        """PATCH an object, its status or its scale."""
        body, kind, report = (
            await read_body(call.request),
            call.kind,
            FieldReport(call.query.get("fieldValidation", "")),
        )
        tried, part = dry_run(call.query), call.path.subresource
        place = (kind, call.namespace, call.path.name)
        if call.content_type == APPLY:
            manager = call.query.get("fieldManager", "")
            if not manager:
                cause = required("fieldManager", "is required for apply patch")
                raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
            record, created = apply(
                self.objects,
                *place,
                parse_apply(body),
                manager,
                flag(call.query, "force"),
                part,
                tried,
                report,
            )
            return self._written(call, record, report, 201 if created else 200)
        change = change_of(kind, call.content_type, body)
        if part == "scale":
            found = self.objects.read(*place)
            record = write_scale(self.objects, kind, found, change(read_scale(kind, found.obj)), tried)
            return json_response(read_scale(kind, record.obj))
        record = self.objects.patch(*place, change, part, tried, report)
        return self._written(call, record, report, 200)

    async def delete(self, call: Call) -> web.StreamResponse:
        """DELETE an object."""
        options = parse_delete(call.query, await read_body(call.request), call.content_type)
        record, gone = self.objects.delete(call.kind, call.namespace, call.path.name, options)
        if gone and not rules_for(call.kind.storage).answers_object:
            return json_response(deleted_status(call.kind, record))
        return json_response(present(call.kind, record))

    async def deletecollection(self, call: Call) -> web.StreamResponse:
        """DELETE all objects of a collection that the selectors select."""
        options = parse_delete(call.query, await read_body(call.request), call.content_type)
        query = parse_list(call.kind, call.query, watching=False)
        page = list_page(self.objects.store, call.kind, call.list_namespace, query)
        deleted = [self._delete_one(call.kind, record, options) for record in page.records]
        items = (present(call.kind, record) for record in deleted)
        return json_response(render(call.kind, page, items))

    def _delete_one(self, kind: Kind, record: Record, options: DeleteOptions) -> Record:
        meta = record.obj["metadata"]
        return self.objects.delete(kind, meta.get("namespace", ""), meta["name"], options)[0]

    async def binding(self, call: Call) -> web.StreamResponse:
        """POST pods/NAME/binding."""
        body = await read_body(call.request)
        tried = dry_run(call.query)
        return json_response(bind(self.objects, call, body, tried), 201)

    async def eviction(self, call: Call) -> web.StreamResponse:
        """POST pods/NAME/eviction."""
        body = await read_body(call.request)
        options = DeleteOptions(dry_run=dry_run(call.query))
        return json_response(evict(self.objects, call, body, options), 201)

    async def token(self, call: Call) -> web.StreamResponse:
        """POST serviceaccounts/NAME/token."""
        place = (call.kind, call.namespace, call.path.name)
        body = await read_body(call.request)
        return json_response(request_token(self.objects, self._tokens, *place, body, call.content_type), 201)

    async def review(self, call: Call) -> web.StreamResponse:
        """POST a question about identity or rights."""
        obj = await self._object(call)
        return json_response(self._reviews.answer(call.kind, call.user, obj, call.namespace), 201)

    async def _object(self, call: Call) -> Json:
        body = await read_body(call.request)
        content_type = call.content_type or "application/json"
        if content_type not in BODY_TYPES:
            raise unsupported_media_type(BODY_TYPES)
        if not body:
            raise bad_request("unexpected EOF")
        return parse_body(body, content_type, call.kind.kind)

    def _written(self, call: Call, record: Record, report: FieldReport, status: int) -> web.Response:
        return json_response(present(call.kind, record), status, report.warnings)


def deleted_status(kind: Kind, record: Record) -> Json:
    """The `Status` that tells of an object that is gone."""
    meta = record.obj["metadata"]
    details = {"name": meta["name"], "kind": kind.plural, "uid": meta["uid"]}
    if kind.group:
        details["group"] = kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
