"""The plan of a sync: a document that a person can approve and a task can apply."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from intacct_provider.client.http.codec import encode
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import show_value
from intacct_provider.sync.records import is_blank
from intacct_provider.sync.selection import Selection

if TYPE_CHECKING:
    from intacct_provider.storage.files import ObjectStoragePath

Mode = Literal["create", "update", "upsert", "mirror"]
MODES: tuple[Mode, ...] = get_args(Mode)
Action = Literal["create", "update", "deactivate", "delete"]
#: In the order in which they are written.
ACTIONS: tuple[Action, ...] = get_args(Action)

_VERSION = "3"
#: Stands in place of the digest while it is computed.
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that an update changes.

    :param path: dotted path of the field, such as ``term.id``.
    :param old: the live value; None when the live record has none.
    :param new: the value the user wants; None clears the field.
    """

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One record that a plan writes.

    :param action: what happens to it. ``deactivate`` sets its status to ``inactive`` instead of deleting it.
    :param match: value of the field that identifies it.
    :param key: its key in Intacct; ``""`` for a creation, or if an undo has to look it up.
    :param reason: why, in a few words for the person who approves.
    :param changes: old and new value of each field. A creation has all given fields (old is None), an update those that
        differ, a deletion those that were compared (new is None).
    :param body: nested body of the POST or PATCH; empty for a deletion.
    :param level: steps of one action are written by rising level, since higher ones refer to lower ones.
    :param fingerprint: SHA-256 of the live record's compared fields, ``""`` for a creation; None if the old values of
        ``changes`` are compared instead (in an undo).
    :param modified: when a record to delete was last changed, as its audit fields say; ``""`` if unknown. Any later
        change, of whatever field, would be lost with the record.
    """

    action: Action
    match: str
    key: str = ""
    reason: str = ""
    changes: tuple[FieldChange, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    level: int = 0
    fingerprint: str | None = ""
    modified: str = ""

    @property
    def rank(self) -> tuple[int, int]:
        """Its place in the order of writing: by action, then by level."""
        return ACTIONS.index(self.action), self.level


@dataclass(frozen=True)
class Plan:
    """The exact difference between desired and live records of one object.

    :param object_name: such as ``accounts-receivable/customer``.
    :param entity_id: entity that the plan is for; ``""`` is the top level, None the connection's default.
    :param mode: one of :data:`MODES`, or ``undo`` for the reverse of another plan.
    :param match_on: dotted path of the field that pairs desired and live records.
    :param steps: what is written, in order: creations, updates, deactivations, deletions.
    :param desired: number of desired records.
    :param live: number of live records that the plan was made from.
    :param in_scope: number of the live records in scope; None for all.
    :param unchanged: number of live records that already match.
    :param left_alone: number not touched because of the mode: existing records that differ (``create``), desired
        records that do not exist (``update``).
    :param protected: number not touched because the user protects them.
    :param transactions: billed transactions that applying it takes, one for each record written and each read call.
    :param fields: dotted paths that a fingerprint is made of.
    :param full_records: whether ``fields`` has fields that queries cannot return, so records must be fetched by key.
    :param source: name of the desired state.
    :param origin: whose plan it is, such as the task and run that made it; plans of one origin with equal content are
        the same plan.
    :param company_id: the company that it was made for.
    :param warnings: sentences about desired values that may not be meant.
    :param invalid: number of desired records that are left out because of their problems.
    :param breaches: limits that it breaks; such a plan can be read but not applied.
    :param scope: which records may be changed; None for all. Asked again before the first write.
    :param protect: which records must not be touched; None for none. Asked again likewise.
    """

    object_name: str
    entity_id: str | None
    mode: Mode | Literal["undo"]
    match_on: str
    steps: tuple[Step, ...]
    desired: int
    live: int
    unchanged: int
    left_alone: int
    protected: int
    transactions: int
    fields: tuple[str, ...]
    full_records: bool
    source: str = ""
    origin: str = ""
    company_id: str = ""
    in_scope: int | None = None
    warnings: tuple[str, ...] = ()
    invalid: int = 0
    breaches: tuple[str, ...] = ()
    scope: Selection | None = None
    protect: Selection | None = None

    @cached_property
    def counts(self) -> Counter[Action]:
        """Number of steps of each action."""
        return Counter(step.action for step in self.steps)

    @cached_property
    def cleared(self) -> int:
        """Number of fields whose live value is cleared."""
        changes = (change for step in self.steps if step.action == "update" for change in step.changes)
        return sum(1 for change in changes if is_blank(change.new) and not is_blank(change.old))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    @cached_property
    def touched(self) -> frozenset[str]:
        """The ``match_on`` values of the records that the plan writes."""
        return frozenset(step.match for step in self.steps)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan's file with 64 zeros in place of the digest; it identifies the plan."""
        return hashlib.sha256(self._encode()).hexdigest()

    def to_json(self) -> bytes:
        """Return the plan as indented JSON with its digest; :meth:`from_json` gives back an equal plan.

        Equal plans give equal bytes.
        """
        return self._encode().replace(_NO_DIGEST.encode(), self.digest.encode(), 1)

    def _encode(self) -> bytes:
        document = {"version": _VERSION, "sha256": _NO_DIGEST, "plan": self}
        return msgspec.json.format(encode(document), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes, *, sha256: str | None = None, name: str = "The plan") -> Plan:
        """Read what :meth:`to_json` wrote, and nothing else: one other byte is an error.

        :param sha256: digest of the plan that was approved; None if any plan will do.
        :param name: what errors call the plan.
        :raises IntacctArgumentError: if it is not a plan, one of another version, or another plan than was approved;
            or if it was changed after it was written.
        """
        found = _compute_digest(data)
        if sha256 is not None and found != sha256:
            raise IntacctArgumentError(
                f"{name} is not the one that was approved: its SHA-256 is {found}, and that of the approved plan "
                f"{sha256}. Nothing was written. Make a new plan and have it approved."
            )
        try:
            version = msgspec.json.decode(data, type=_Envelope).version
            if version != _VERSION:
                raise IntacctArgumentError(
                    f"{name} has version {show_value(version)}; this release reads version {_VERSION!r}. "
                    "Make the plan again."
                )
            document = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError) as error:
            unread = "not UTF-8" if isinstance(error, UnicodeDecodeError) else type(error).__name__
            reason = error if isinstance(error, msgspec.DecodeError) else unread
            raise IntacctArgumentError(f"{name} is not a sync plan: {reason}") from None
        if document.sha256 != found:
            raise IntacctArgumentError(
                f"{name} was changed after it was written: its SHA-256 is {found}, and it says "
                f"{show_digest(document.sha256)}. Nothing was written. Make the plan again."
            )
        # Not computed again: a number may be spelled otherwise when it is encoded again, such as 1e22.
        document.plan.__dict__["digest"] = found
        return document.plan


class _Envelope(msgspec.Struct):
    version: str


class _PlanFile(msgspec.Struct):
    version: str
    sha256: str
    plan: Plan


_decoder = msgspec.json.Decoder(_PlanFile, float_hook=Decimal)


def _compute_digest(data: bytes) -> str:
    """Return the digest of a plan's file, whatever digest it carries."""
    # The digest has a fixed place, so that nothing else can be taken for it.
    head = f'{{\n  "version": "{_VERSION}",\n  "sha256": "'.encode()
    end = len(head) + len(_NO_DIGEST)
    if data.startswith(head):
        data = head + _NO_DIGEST.encode() + data[end:]
    return hashlib.sha256(data).hexdigest()


def show_digest(text: str) -> str:
    """Return a digest for an error message: whole if it is one."""
    return text if len(text) == len(_NO_DIGEST) and text.isalnum() else show_value(text)


def companion_path(plan_path: ObjectStoragePath, ending: str) -> ObjectStoragePath:
    """Return the path of a plan's companion: ``groups.plan.json`` has ``groups.plan.html`` for ``.html``."""
    return plan_path.with_name(plan_path.name.removesuffix(".json") + ending)
