"""What became of a plan, written as it is applied, so that whoever goes on knows what is done.

Object storages cannot append to a file, so a journal is a folder of small files that are written once and whole:

- ``begin.json``: whose the plan is, and since when; written by one owner only
- ``undo.json``: the reverse plan
- ``00001.sent.json``: the first batch is about to be sent, with these records
- ``00001.done.json``: what became of each of its records
- ``end.json``: all batches are done; what came out of it

A batch that is sent and not done is in doubt: it is sent again as it was, under the same idempotency key, so that
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
from intacct_provider.exceptions import IntacctArgumentError, IntacctPlanInUseError
from intacct_provider.storage.files import create_whole, write_whole
from intacct_provider.sync.plan import Plan

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

#: How long Intacct keeps an answer under its idempotency key, less what clocks may differ.
_REMEMBERED = dt.timedelta(hours=47)
_Part = TypeVar("_Part", bound=msgspec.Struct)


class Refusal(msgspec.Struct, omit_defaults=True):
    """Why Intacct refused a record, in the words of :class:`~intacct_provider.exceptions.IntacctAPIError`."""

    message: str
    status: int = 0
    code: str = ""
    error_id: str = ""
    support_id: str = ""
    target: str = ""
    details: tuple[tuple[str, str, str], ...] = ()
    hint: str = ""


class Fate(msgspec.Struct, omit_defaults=True):
    """What became of one record.

    :param step: its position among the plan's steps, from 0.
    :param match: what identifies it.
    :param fate: ``written``; ``found``, because it was as the plan wants it before it was sent; ``stale``, because
        somebody else changed it; or ``refused``.
    :param key: Intacct's key of it, as far as it is known.
    """

    step: int
    match: str
    fate: str
    key: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """What a batch sends.

    :param steps: positions of its records among the plan's steps, in order.
    :param bodies: those bodies, by position, that are not the plan's own.
    :param when: when that was written; None when it is not.
    """

    steps: tuple[int, ...]
    bodies: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    when: dt.datetime | None = field(default=None, compare=False)

    @property
    def remembered(self) -> bool:
        """Whether Intacct still knows the answer to it, if it was sent."""
        return self.when is not None and dt.datetime.now(dt.UTC) - self.when < _REMEMBERED


class _Begin(msgspec.Struct):
    owner: str
    plan: str
    since: str
    claim: str


class _Done(msgspec.Struct):
    records: tuple[Fate, ...]


class _End(msgspec.Struct):
    when: str
    counts: dict[str, int]


class Journal:
    """The journal of one plan that one task applies, in as many tries as it takes.

    :param plan_path: where the plan is. The journal lies beside it, in a folder for each plan that was ever there.
    :param owner: who applies it, such as the task and its run; the same for every try.
    """

    def __init__(self, plan_path: ObjectStoragePath, plan: Plan, owner: str) -> None:
        self.plan = plan
        self.owner = owner
        self.undo_path = beside(plan_path, ".undo.json")
        self.rejects_path = beside(plan_path, ".rejects.jsonl")
        self._root = beside(plan_path, ".journal")
        self._round = 1

    @classmethod
    def unfinished(cls, plan_path: ObjectStoragePath, owner: str) -> Plan | None:
        """Return the plan that this owner has begun to apply and not ended, to go on with it."""
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
        """Where its files are."""
        name = self.plan.digest[:16]
        return self._root / (name if self._round == 1 else f"{name}-{self._round}")

    @property
    def scope(self) -> str:
        """What its idempotency keys belong to."""
        return "\0".join((self.owner, self.plan.digest, str(self._round)))

    @property
    def files(self) -> dict[str, str]:
        """Paths of what it has written: ``journal``, ``undo`` and, when records were refused, ``rejects``."""
        found = {"journal": str(self.folder)}
        if (self.folder / "undo.json").exists():
            found["undo"] = str(self.undo_path)
        if self.rejects_path.exists():
            found["rejects"] = str(self.rejects_path)
        return found

    def begin(self, *, anew: bool = False) -> bool:
        """Make the plan this owner's. Return whether it was so before, and this is another try.

        :param anew: whether the plan was made a moment ago. Then a plan with the same content that ended before is
            another one.
        :raises IntacctPlanInUseError: if it is another owner's.
        :raises IntacctArgumentError: if nothing can be written beside the plan.
        """
        try:
            return self._begun(anew)
        except (PermissionError, NotADirectoryError) as err:
            raise IntacctArgumentError(
                f"The journal {str(self._root)!r} cannot be written ({type(err).__name__}). Nothing was applied."
            ) from err

    def _begun(self, anew: bool) -> bool:
        self._round = self._last_round()
        if anew and self.ended:
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
                f"{self.folder / 'begin.json'} cannot be read, so who applies the plan is unknown. Make a new plan."
            )
        if found.owner != self.owner:
            end = self._read("end.json", _End)
            doing = (
                f"has applied the plan: it ended {end.when}"
                if end
                else "applies the plan and has not ended it"
            )
            raise IntacctPlanInUseError(
                f"{found.owner or 'Somebody else'} {doing}, begun {found.since}. {so_far} Make a new plan"
                + ("." if end else ", or clear that task to let it go on.")
            )

    @property
    def ended(self) -> bool:
        """Whether the plan was applied to its end."""
        return self._read("end.json", _End) is not None

    def end(self, counts: Mapping[str, int]) -> None:
        """Write that all is done, and what came out of it."""
        self._write("end.json", _End(_now(), dict(counts)))

    def undo(self) -> Plan | None:
        """Return the reverse plan, if it is written."""
        try:
            return Plan.from_json((self.folder / "undo.json").read_bytes())
        except (OSError, ValueError):
            return None

    def keep_undo(self, undo: Plan) -> None:
        """Write the reverse plan, beside the plan and in the journal: a later plan takes the place of the former."""
        content = undo.to_json()
        write_whole(self.undo_path, [content])
        # The journal's comes last: when it is there, both are.
        write_whole(self.folder / "undo.json", [content])

    def keep_rejects(self, lines: Iterable[bytes]) -> None:
        """Write the rejects file, or remove that of an earlier plan when there is nothing to write."""
        content = b"".join(lines)
        if content:
            write_whole(self.rejects_path, [content])
        else:
            self.rejects_path.unlink(missing_ok=True)

    def sending(self, batch: int) -> Sending | None:
        """Return what a batch sends, if that was ever written."""
        found = self._read(f"{batch:05}.sent.json", _Sent)
        return None if found is None else Sending(found.steps, found.bodies, found.when)

    def send(self, batch: int, sending: Sending, *, instead: bool = False) -> Sending:
        """Write what a batch is about to send, and return what it has to send.

        That is what another try of the same task has written meanwhile, if one has.

        :param instead: write it in the place of what is there.
        :raises IntacctPlanInUseError: if the plan has become another owner's, on a storage that cannot tell who was
            first.
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

    def done(self, batch: int) -> tuple[Fate, ...] | None:
        """Return what became of the records of a batch; None while that is unknown."""
        found = self._read(f"{batch:05}.done.json", _Done)
        return None if found is None else found.records

    def record(self, batch: int, fates: Sequence[Fate]) -> None:
        """Write what became of the records of a batch."""
        self._write(f"{batch:05}.done.json", _Done(tuple(fates)))

    def _last_round(self) -> int:
        number = 1
        while (self._root / f"{self.plan.digest[:16]}-{number + 1}" / "begin.json").exists():
            number += 1
        return number

    def _read(self, name: str, kind: type[_Part]) -> _Part | None:
        """Return a file of the journal; None if it is not there, or broke off when a machine did."""
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
        """Write a file that nobody has written before; return False if somebody has."""
        return create_whole(self.folder / name, encode(content))


class _Sent(msgspec.Struct, omit_defaults=True):
    steps: tuple[int, ...]
    when: dt.datetime
    bodies: dict[int, dict[str, Any]] = {}


def beside(plan_path: ObjectStoragePath, ending: str) -> ObjectStoragePath:
    """Return the path of a plan's companion: ``groups.plan.json`` has ``groups.plan.html`` for ``.html``."""
    return plan_path.with_name(plan_path.name.removesuffix(".json") + ending)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
