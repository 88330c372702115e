"""What the company's model service says about objects and fields, and how it explains a rejection."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from intacct_provider.client.forks import renew_after_fork
from intacct_provider.client.hints import hint_for_field, hint_for_object, hint_for_value
from intacct_provider.client.http.transport import Reply, Request
from intacct_provider.client.keys import text_or_none
from intacct_provider.client.model import (
    WELL_KNOWN_OBJECTS,
    ModelField,
    find_reference,
    get_entries,
    list_queryable,
    read_fields,
    read_model,
)
from intacct_provider.client.query.request import check_object_name
from intacct_provider.client.session import Session
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctArgumentError,
    IntacctError,
    IntacctNotFoundError,
    IntacctResponseError,
    IntacctValidationError,
)

log = logging.getLogger(__name__)

MODEL = "/services/core/model"


class Catalog:
    """The objects of a company and their fields; each model is read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._models: dict[str, dict[str, Any]] = {}
        #: Objects whose model was asked for without success, by :meth:`models`.
        self._without_model: set[str] = set()
        self._model_lock = threading.Lock()
        self._object_names: list[str] | None = None
        self._unreadable = False
        renew_after_fork(self)

    def renew_after_fork(self) -> None:
        """Wait for no model that another thread of the parent process is reading."""
        self._model_lock = threading.Lock()

    def model(self, object_name: str) -> dict[str, Any]:
        """Return the description of an object, in which empty maps are maps."""
        check_object_name(object_name)
        with self._model_lock:
            if object_name not in self._models:
                self._models[object_name] = self._read_model(object_name)
        return self._models[object_name]

    def models(self, object_names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the models of owned objects as far as they can be read, several for one call."""
        with self._model_lock:
            wanted = [name for name in object_names if name not in self._models.keys() | self._without_model]
            if len(wanted) > 1:
                self._models |= self._list_owned_models(wanted)
            for name in wanted:
                model = self._models.get(name) or self._read_model_if_readable(name)
                if model:
                    self._models[name] = model
                else:
                    self._without_model.add(name)
            return {name: self._models[name] for name in object_names if name in self._models}

    def fields(self, object_name: str) -> dict[str, ModelField]:
        """Return the fields of an object by dotted name."""
        return read_fields(self.model(object_name))

    def find_field(self, object_name: str, name: str) -> ModelField | None:
        """Return a field by its dotted name; None if no model describes it.

        What the object's model does not say of a referenced object is in that object's model, one more call.
        """
        model = self.model(object_name)
        found = read_fields(model).get(name)
        further = None if found else find_reference(model, name)
        return self.find_field(*further) if further else found

    def queryable_fields(self, object_name: str, exclude: Sequence[str] = ()) -> list[str]:
        """Return the names of the fields that a query can return, ``key`` first."""
        fields = self.fields(object_name)
        names = list_queryable(fields)
        if not names:
            raise IntacctResponseError(f"Intacct's model of {object_name} has no field that can be queried.")
        for one in exclude:
            if not any(_is_within(name, one) for name in fields):
                raise IntacctArgumentError(
                    f"exclude has {one!r}, which is not a field of {object_name}.{did_you_mean(one, names)}"
                )
        left = [name for name in names if not any(_is_within(name, one) for one in exclude)]
        if not left:
            raise IntacctArgumentError(f"exclude leaves no field of {object_name}.")
        return left

    def object_names(self, kind: str | None = None) -> list[str]:
        """Return the paths of all objects of the company, or of those of a kind."""
        request = Request("GET", MODEL, params={"type": kind} if kind else None)
        found = self._session.read(request).result
        names = (str(item.get("apiObject", "")) for item in found or () if isinstance(item, Mapping))
        return [name.removeprefix("objects/") for name in names if name.startswith("objects/")]

    def has_object(self, object_name: str) -> bool | None:
        """Whether Intacct has such an object; None if that cannot be found out.

        Costs one call per client, unless the object is a well-known one.
        """
        if object_name in WELL_KNOWN_OBJECTS:
            return True
        try:
            return object_name in self._list_objects()
        except IntacctError as err:
            log.warning("Intacct: could not read whether there is an object %s: %s", object_name, err)
            return None

    def read(self, object_name: str, request: Request, *, key: str | None = None) -> Reply:
        """Read something of an object, one transaction, and explain it if Intacct rejects it.

        :param key: of the record that is read, if it is one.
        :raises IntacctAPIError: if Intacct rejects it.
        """
        reply = self._session.send(request)
        error = reply.error()
        if error:
            raise self.explain_one(error, object_name, key=key)
        self._session.bill(1)
        return reply

    def explain(
        self, error: IntacctAPIError, object_name: str, record: Mapping[str, Any] | None = None
    ) -> IntacctAPIError:
        """Return the error with a hint, where a wrong name or value can be the cause.

        Asks the model service, and only after a rejection: a name that is right costs nothing.

        :param record: what was written, when it was a write.
        """
        if isinstance(error, IntacctNotFoundError | IntacctValidationError):
            fields = partial(self._fields_if_readable, object_name)
            # The closest name says more than the general advice on the error.
            error.hint = (
                self._hint_for_object(object_name)
                or hint_for_field(error, fields)
                or hint_for_value(error, record or {}, fields)
                or error.hint
            )
        return error

    def explain_one(
        self,
        error: IntacctAPIError,
        object_name: str,
        record: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> IntacctAPIError:
        """Return the error of a request that is about one record, or about the object: it names that, too.

        :param key: the record's key; without one its id counts.
        """
        record_id = text_or_none((record or {}).get("id"))
        name, value = ("key", key) if key else ("id", record_id)
        error.subject = f"{object_name} with {name} {value!r:.120}" if value else object_name
        return self.explain(error, object_name, record)

    def _read_model(self, object_name: str) -> dict[str, Any]:
        found = self._request_model(object_name)
        if not found:
            raise IntacctNotFoundError(
                f"Intacct has no object {object_name!r}.", hint=self._hint_for_object(object_name)
            )
        return found

    def _request_model(self, object_name: str) -> dict[str, Any]:
        """Return the model of an object; empty if Intacct has no such object."""
        found = self._session.read(
            Request("GET", MODEL, params={"name": object_name, "schema": "true"}, object_name=object_name)
        ).result
        # Intacct answers an unknown object with HTTP 200 and an empty list.
        return read_model(found) if isinstance(found, Mapping) else {}

    def _read_model_if_readable(self, object_name: str) -> dict[str, Any]:
        """Return the model of an object; empty if Intacct has none, or refuses to show it."""
        try:
            return self._request_model(object_name)
        except IntacctAPIError as err:
            if err.retryable:
                raise
            log.warning("Intacct: could not read the model of %s: %s", object_name, err)
            return {}

    def _list_owned_models(self, object_names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return those of some models that the list of models has, whole, for one call."""
        # Not re.escape, which puts a backslash before hyphens, too: some dialects of regular expressions reject that.
        either = "|".join(re.sub(r"[^\w/: -]", r"\\\g<0>", name) for name in object_names)
        pattern = f"^(objects/)?({either})$"
        params = {"filter": pattern, "type": "ownedObject", "schema": "true"}
        try:
            listed = self._session.read(Request("GET", MODEL, params=params)).result
        except IntacctAPIError as err:
            if err.retryable:
                raise
            return {}  # each one is asked for by its name
        models = {
            str(one.get("apiObject") or "").removeprefix("objects/"): read_model(one)
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, Mapping) and get_entries(one, "fields")
        }
        return {name: models[name] for name in object_names if name in models}

    def _hint_for_object(self, object_name: str) -> str:
        """Return what is wrong with an object's path, or an empty string when it exists."""
        if object_name in WELL_KNOWN_OBJECTS:
            return ""
        try:
            objects = [] if self._unreadable else self._list_objects()
        except IntacctError:
            # The rejection itself is what the caller must see; without the list it goes unexplained.
            objects = []
        return hint_for_object(object_name, objects)

    def _list_objects(self) -> list[str]:
        """Return the paths of all objects, read once per client."""
        if self._object_names is None:
            try:
                self._object_names = self.object_names()
            except IntacctError:
                self._unreadable = True
                raise
        return self._object_names

    def _fields_if_readable(self, object_name: str) -> Mapping[str, ModelField]:
        """Return the fields of an object; none if the model service fails, since the rejection itself must be seen."""
        try:
            return self.fields(object_name)
        except IntacctError:
            return {}


def _is_within(name: str, other: str) -> bool:
    """Whether a field is the other one, or belongs to it as to a group or reference."""
    return name == other or name.startswith(f"{other}.")
