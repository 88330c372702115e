"""The journal of a plan: written as the plan is applied, so that a later attempt knows what is done.

Object storages cannot append to a file, so a journal is a folder of small files that are each written once, whole:

- ``begin.json``: who applies the plan, and since when; written by one owner only
- ``undo.json``: the reverse plan of all that may be written; beside the plan is that of what was written
- ``00001.sent.json``: the first batch is about to be sent, with these records
- ``00001.done.json``: the outcome of each of its records
- ``end.json``: all batches are done, with the counts of outcomes and the records that are not as planned nevertheless

A batch that is sent but not done is in flight: it is sent again as it was, under the same idempotency key, so that
Intacct recognizes it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from intacct_provider.client.http.codec import encode
from intacct_provider.exceptions import ErrorDetail, IntacctArgumentError, IntacctPlanInUseError
from intacct_provider.storage.files import create_whole, write_whole
from intacct_provider.sync.applying.output_files import choose_rejects_path, read_invalid, write_rejects
from intacct_provider.sync.plan import Plan, companion_path
from intacct_provider.sync.plan_files import list_plan_files
from intacct_provider.sync.planning.equality import parse_time
from intacct_provider.sync.records import look_up

if TYPE_CHECKING:
    from intacct_provider.storage.files import ObjectStoragePath

#: How long Intacct keeps a response under its idempotency key, less a margin for different clocks.
_KEY_LIFETIME = dt.timedelta(hours=47)
_Part = TypeVar("_Part", bound=msgspec.Struct)


class Refusal(msgspec.Struct, omit_defaults=True):
    """Why Intacct rejected a record, with the attributes of :class:`~intacct_provider.exceptions.IntacctAPIError`."""

    message: str
    status: int = 0
    code: str = ""
    error_id: str = ""
    support_id: str = ""
    target: str = ""
    details: tuple[ErrorDetail, ...] = ()
    hint: str = ""


class RecordOutcome(msgspec.Struct, omit_defaults=True):
    """The outcome of one record.

    :param step: its position among the plan's steps, from 0.
    :param match: value of the field that identifies it.
    :param outcome: ``written``; ``found``, if it was as planned before it was sent; ``stale``, if somebody else changed
        it; ``unprocessed``, if Intacct left it alone because another one of its call was rejected; or ``refused``.
        Stored under the name ``fate``.
    :param key: its key in Intacct; ``""`` if unknown.
    :param reason: why it is ``stale``.
    """

    step: int
    match: str
    outcome: str = msgspec.field(name="fate")
    key: str = ""
    refusal: Refusal | None = None
    reason: str = ""

    @property
    def unprocessed(self) -> bool:
        """Whether Intacct left it alone, so that it can be applied again as it is."""
        return self.outcome == "unprocessed"


class Moments(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a call was sent and answered, by Intacct's clock; ``""`` if unknown."""

    sent: str = ""
    answered: str = ""

    def precede(self, row: Mapping[str, Any], user: str) -> bool:
        """Return whether somebody has changed a record after the call.

        :param row: the record as it is now.
        :param user: whose changes later than ``sent`` may be those of the call.
        """
        stamp = parse_time(look_up(row, "audit.modifiedDateTime"))
        sent, answered = parse_time(self.sent), parse_time(self.answered)
        if stamp is None or sent is None or answered is None:
            return False
        editor = str(look_up(row, "audit.modifiedByUser.id") or "")
        other = bool(user and editor) and editor.casefold() != user.casefold()
        return stamp > answered or (other and stamp >= sent)


@dataclass(frozen=True, slots=True)
class Sending:
    """What a batch sends.

    :param steps: positions of its records among the plan's steps, in order.
    :param bodies: by position, the bodies that differ from the plan's.
    :param when: when it was written to the journal; None if it was not.
    """

    steps: tuple[int, ...]
    bodies: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    when: dt.datetime | None = field(default=None, compare=False)

    @property
    def remembered(self) -> bool:
        """Whether Intacct still keeps the response to it, if it was sent."""
        return self.when is not None and dt.datetime.now(dt.UTC) - self.when < _KEY_LIFETIME


class _Begin(msgspec.Struct):
    owner: str
    plan: str
    since: str
    claim: str


class _Done(msgspec.Struct, omit_defaults=True):
    records: tuple[RecordOutcome, ...]
    moments: Moments = Moments()


class _End(msgspec.Struct, omit_defaults=True):
    when: str
    counts: dict[str, int]
    deviating: tuple[int, ...] = ()


class Journal:
    """The journal of one plan, which one task applies in as many attempts as it takes.

    :param plan_path: where the plan is. The journal is beside it, in a folder for each plan that was ever there.
    :param owner: who applies it, such as the task and its run; the same for every attempt.
    """

    def __init__(self, plan_path: ObjectStoragePath, plan: Plan, owner: str) -> None:
        self.plan = plan
        self.owner = owner
        self.undo_path = companion_path(plan_path, ".undo.json")
        self.rejects_path = choose_rejects_path(plan_path, plan.source)
        self._root = companion_path(plan_path, ".journal")
        self._round = 1

    @classmethod
    def unfinished(cls, plan_path: ObjectStoragePath, owner: str) -> Plan | None:
        """Return the plan that this owner has begun to apply and not completed, to continue it."""
        try:
            plan = Plan.from_json(plan_path.read_bytes())
        except (OSError, ValueError):
            return None
        journal = cls(plan_path, plan, owner)
        journal._round = journal._last_round()
        begin = journal._read("begin.json", _Begin)
        return plan if begin is not None and begin.owner == owner and not journal.ended else None

    @property
    def folder(self) -> ObjectStoragePath:
        """The folder of its files."""
        name = self.plan.digest[:16]
        return self._root / (name if self._round == 1 else f"{name}-{self._round}")

    @property
    def scope(self) -> str:
        """The scope of its idempotency keys."""
        return "\0".join((self.owner, self.plan.digest, str(self._round)))

    @property
    def files(self) -> dict[str, str]:
        """Paths of what it has written: ``journal``, ``undo`` and, if records were rejected, ``rejects``."""
        found = {"journal": str(self.folder)}
        if (self.folder / "undo.json").exists():
            found["undo"] = str(self.undo_path)
        if self.rejects_path.exists():
            found["rejects"] = str(self.rejects_path)
        return found

    def begin(self, *, fresh: bool = False) -> bool:
        """Claim the plan for this owner. Return whether it was claimed before, so this is another attempt.

        :param fresh: whether the plan was just made. Then an equal plan that was completed before is another
            one.
        :raises IntacctPlanInUseError: if another owner has claimed it.
        :raises IntacctArgumentError: if nothing can be written beside the plan.
        """
        try:
            return self._claim(fresh)
        except (PermissionError, NotADirectoryError) as err:
            raise IntacctArgumentError(
                f"The journal {str(self._root)!r} cannot be written ({type(err).__name__}). Nothing was applied."
            ) from err

    def _claim(self, fresh: bool) -> bool:
        self._round = self._last_round()
        if fresh and self.ended:
            self._round += 1
        claim = _Begin(self.owner, self.plan.digest, _now(), uuid.uuid4().hex)
        if self._create("begin.json", claim):
            return False
        self._check_owner("This task has written nothing.")
        return True

    def _check_owner(self, so_far: str) -> None:
        found = self._read("begin.json", _Begin)
        if found is None:
            raise IntacctPlanInUseError(
                f"{self.folder / 'begin.json'} cannot be read, so it is unknown who applies the plan. Make a new plan."
            )
        if found.owner != self.owner:
            end = self._read("end.json", _End)
            state = f"has applied the plan and completed it at {end.when}" if end else "is applying the plan"
            raise IntacctPlanInUseError(
                f"{found.owner or 'Somebody else'} {state}; started at {found.since}. {so_far} Make a new plan"
                + ("." if end else ", or clear that task to continue.")
            )

    @property
    def ended(self) -> bool:
        """Whether all batches of the plan are done."""
        return self._read("end.json", _End) is not None

    @property
    def deviating(self) -> tuple[int, ...]:
        """Positions of the steps whose records were written, and were not as planned at the end."""
        end = self._read("end.json", _End)
        return () if end is None else end.deviating

    def end(self, counts: Mapping[str, int], deviating: Iterable[int] = ()) -> None:
        """Write that all batches are done, with the counts of outcomes.

        :param deviating: positions of the steps whose records are not as planned although they were written.
        """
        self._write("end.json", _End(_now(), dict(counts), tuple(deviating)))

    def undo(self) -> Plan | None:
        """Return the reverse plan; None if it is not written yet."""
        try:
            return Plan.from_json((self.folder / "undo.json").read_bytes())
        except (OSError, ValueError):
            return None

    def published_undo(self) -> Plan | None:
        """Return the reverse plan beside the plan; None if there is none."""
        try:
            return Plan.from_json(self.undo_path.read_bytes())
        except (OSError, ValueError):
            return None

    def keep_undo(self, undo: Plan) -> None:
        """Write the reverse plan of all that the plan may write."""
        write_whole(self.folder / "undo.json", [undo.to_json()])

    def publish_undo(self, undo: Plan) -> None:
        """Write the reverse plan of what was written beside the plan, where a later plan replaces it."""
        write_whole(self.undo_path, [undo.to_json()])

    def keep_rejects(self, lines: Iterable[bytes]) -> None:
        """Write the rejects file, or remove that of an earlier plan if there are no rejects.

        The records that were left out when the plan was made stay in it.
        """
        invalid = read_invalid(self.rejects_path) if self.plan.invalid else []
        write_rejects(self.rejects_path, b"".join([*invalid, *lines]))

    def sending(self, batch: int) -> Sending | None:
        """Return what a batch sends; None if that was never written."""
        found = self._read(f"{batch:05}.sent.json", _Sent)
        return None if found is None else Sending(found.steps, found.bodies, found.when)

    def send(self, batch: int, sending: Sending, *, instead: bool = False) -> Sending:
        """Write what a batch is about to send, and return what it must send.

        That is what another attempt of the same task has written meanwhile, if there is one.

        :param instead: replace what is written already.
        :raises IntacctPlanInUseError: if another owner has claimed the plan meanwhile, on a storage that cannot create
            files exclusively.
        """
        self._check_owner("This task writes nothing more.")
        name, content = (
            f"{batch:05}.sent.json",
            _Sent(sending.steps, dt.datetime.now(dt.UTC), dict(sending.bodies)),
        )
        if instead:
            self._write(name, content)
        elif not self._create(name, content):
            return self.sending(batch) or sending
        return sending

    def done(self, batch: int) -> tuple[RecordOutcome, ...] | None:
        """Return the outcomes of the records of a batch; None while they are unknown."""
        found = self._read(f"{batch:05}.done.json", _Done)
        return None if found is None else found.records

    def moments(self, batch: int) -> Moments:
        """Return when a batch was written."""
        found = self._read(f"{batch:05}.done.json", _Done)
        return Moments() if found is None else found.moments

    def record(
        self,
        batch: int,
        outcomes: Sequence[RecordOutcome],
        moments: Moments = Moments(),  # noqa: B008 - frozen
    ) -> None:
        """Write the outcomes of the records of a batch, and when it was written."""
        self._write(f"{batch:05}.done.json", _Done(tuple(outcomes), moments))

    def _last_round(self) -> int:
        number = 1
        while (self._root / f"{self.plan.digest[:16]}-{number + 1}" / "begin.json").exists():
            number += 1
        return number

    def _read(self, name: str, kind: type[_Part]) -> _Part | None:
        """Return a file of the journal; None if it is missing or incomplete, as after a crash of the machine."""
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        with suppress(msgspec.DecodeError):
            return msgspec.json.Decoder(kind, float_hook=Decimal).decode(content)
        return None

    def _write(self, name: str, content: msgspec.Struct) -> None:
        write_whole(self.folder / name, [encode(content)])

    def _create(self, name: str, content: msgspec.Struct) -> bool:
        """Write a file that does not exist; return False if it does."""
        return create_whole(self.folder / name, encode(content))


def find_begun(plan_path: ObjectStoragePath, owner: str) -> tuple[ObjectStoragePath, Plan | None]:
    """Return the plan that this owner has begun to apply and not completed, with its path; None if there is none."""
    for path in list_plan_files(plan_path):
        plan = Journal.unfinished(path, owner)
        if plan is not None:
            return path, plan
    return plan_path, None


class _Sent(msgspec.Struct, omit_defaults=True):
    steps: tuple[int, ...]
    when: dt.datetime
    bodies: dict[int, dict[str, Any]] = {}


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
