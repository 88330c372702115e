"""The journal of a plan: who may write it, on which storage, and what is left when a machine breaks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from intacct_provider.exceptions import ErrorDetail, IntacctArgumentError, IntacctPlanInUseError
from intacct_provider.storage.files import create_whole
from intacct_provider.sync.applying.journal import Journal, RecordOutcome, Refusal, Sending
from intacct_provider.sync.plan import FieldChange, Plan, Step, companion_path

PURPOSE = "general-ledger/account-group-purpose"
STEP = Step("create", "A", changes=(FieldChange("id", None, "A"),), body={"id": "A"})
PLAN = Plan(PURPOSE, None, "upsert", "id", (STEP,), 1, 0, 0, 0, 0, 2, ("key", "id"), False)


class Memory(MemoryFileSystem):
    """An object storage that creates files exclusively, as those of the large clouds can; or one that cannot."""

    cachable = False
    exclusive = True

    def _open(self, path, mode="rb", **kwargs):
        if "x" in mode and not self.exclusive:
            raise ValueError(f"invalid mode {mode}")
        return super()._open(path, mode, **kwargs)


attach("memory", fs=Memory())


@pytest.fixture(params=["disk", "exclusive", "plain"])
def path(request, tmp_path, monkeypatch):
    """The path of a plan on storages of several kinds."""
    monkeypatch.setattr(Memory, "exclusive", request.param == "exclusive")
    folder = str(tmp_path) if request.param == "disk" else f"memory://bucket{tmp_path}"
    found = ObjectStoragePath(folder) / "groups.plan.json"
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_bytes(PLAN.to_json())
    return found


def journal(path, owner="one"):
    return Journal(path, PLAN, owner)


def test_names_beside_a_plan(path):
    assert companion_path(path, ".html").name == "groups.plan.html"
    assert companion_path(path.with_name("groups"), ".undo.json").name == "groups.undo.json"


def test_a_file_is_created_once(path):
    target = path.with_name("once")
    assert create_whole(target, b"first")
    assert not create_whole(target, b"second")
    assert target.read_bytes() == b"first"


def test_of_many_at_once_one_creates_a_file(tmp_path):
    for turn in range(50):
        target, start = ObjectStoragePath(str(tmp_path / str(turn))), Barrier(8)

        def create(number, target=target, start=start):
            start.wait()
            return create_whole(target, b"%d" % number)

        with ThreadPoolExecutor(8) as pool:
            won = [number for number, first in enumerate(pool.map(create, range(8))) if first]
        assert len(won) == 1
        assert target.read_bytes() == b"%d" % won[0]
    assert len([*tmp_path.iterdir()]) == 50, "nothing temporary is left"


def test_the_owner_goes_on_and_nobody_else(path):
    assert journal(path).begin() is False
    assert journal(path).begin() is True
    with pytest.raises(IntacctPlanInUseError, match=r"^one is applying the plan; started at 20.*clear"):
        journal(path, "two").begin()
    journal(path).end({"created": 1})
    with pytest.raises(IntacctPlanInUseError, match=r"^one has applied the plan and completed it at 20"):
        journal(path, "two").begin()
    assert journal(path).begin() is True


def test_whoever_loses_the_plan_on_a_storage_that_cannot_tell_who_was_first_sends_nothing(path):
    one, two = journal(path), journal(path, "two")
    one.begin()
    (one.folder / "begin.json").unlink()
    two.begin()
    with pytest.raises(IntacctPlanInUseError, match=r"^two is applying the plan"):
        one.send(1, Sending((0,)))
    assert two.send(1, Sending((1,))) == Sending((1,))


def test_whoever_has_no_name_is_somebody_else(path):
    journal(path, "").begin()
    with pytest.raises(IntacctPlanInUseError, match=r"^Somebody else is applying"):
        journal(path).begin()


def test_what_is_written_is_read_again(path):
    one = journal(path)
    one.begin()
    causes = (ErrorDetail("Why", "REST-2", "/x", "code", "Use another"), ErrorDetail("Why too", "REST-3"))
    refusal = Refusal("No", 400, "code", "REST-1", "support", "/id", causes, "Ask.")
    outcomes = (RecordOutcome(0, "A", "written", "1"), RecordOutcome(2, "ü, /", "refused", refusal=refusal))
    assert one.sending(1) is None
    assert one.done(1) is None
    assert one.send(1, Sending((0, 2), {2: {"list": [1, {"a": None}]}})) == Sending(
        (0, 2), {2: {"list": [1, {"a": None}]}}
    )
    one.record(1, outcomes)
    assert journal(path).sending(1) == Sending((0, 2), {2: {"list": [1, {"a": None}]}})
    assert journal(path).done(1) == outcomes


def test_two_tries_that_send_a_batch_send_the_same(path):
    one, two = journal(path), journal(path)
    one.begin()
    two.begin()
    assert one.send(1, Sending((0, 1, 2))) == Sending((0, 1, 2))
    assert two.send(1, Sending((0, 2))) == Sending((0, 1, 2))
    assert two.send(1, Sending((0, 2)), instead=True) == Sending((0, 2))
    assert one.sending(1) == Sending((0, 2))


@pytest.mark.parametrize("content", [b"", b'{"records": [', b"{}", b"\xff"])
def test_a_file_that_broke_off_when_the_machine_did_counts_for_nothing(path, content):
    one = journal(path)
    one.begin()
    one.record(1, [RecordOutcome(0, "A", "written")])
    for name in ("00001.done.json", "00001.sent.json", "undo.json", "end.json"):
        (one.folder / name).write_bytes(content)
    assert one.done(1) is None
    assert one.sending(1) is None
    assert one.undo() is None
    assert not one.ended
    (one.folder / "begin.json").write_bytes(content)
    with pytest.raises(IntacctPlanInUseError, match="cannot be read, so it is unknown who applies the plan"):
        journal(path).begin()


def test_the_reverse_plan_is_kept_with_each_journal_and_beside_the_plan(path):
    one = journal(path)
    one.begin()
    assert one.files.keys() == {"journal"}
    one.keep_undo(PLAN)
    one.publish_undo(PLAN)
    assert one.undo() == PLAN
    assert Plan.from_json(path.with_name("groups.plan.undo.json").read_bytes()) == PLAN
    assert one.files == {"journal": str(one.folder), "undo": str(path.with_name("groups.plan.undo.json"))}


def test_a_plan_made_anew_has_a_journal_of_its_own(path):
    one = journal(path)
    one.begin()
    first = one.folder, one.scope
    one.end({})
    again = journal(path)
    assert again.begin(fresh=True) is False
    assert (again.folder, again.scope) != first
    assert not again.ended
    assert journal(path).begin() is True, "another attempt finds the last one"
    assert Journal.unfinished(path, "one") == PLAN
    assert Journal.unfinished(path, "two") is None


def test_idempotency_keys_belong_to_the_owner_and_the_plan(path):
    assert journal(path).scope == journal(path).scope
    other = replace(PLAN, origin="another run")
    assert len({journal(path).scope, journal(path, "two").scope, Journal(path, other, "one").scope}) == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON"])
def test_what_is_no_plan_is_not_unfinished(path, content):
    path.write_bytes(content)
    assert Journal.unfinished(path, "one") is None


def test_a_journal_that_cannot_be_written_is_told_before_anything_is_applied(tmp_path):
    (tmp_path / "groups.plan.journal").write_text("a file in its place")
    with pytest.raises(
        IntacctArgumentError, match=r"groups\.plan\.journal' cannot be written \(NotADirectoryError\)"
    ):
        journal(ObjectStoragePath(str(tmp_path / "groups.plan.json"))).begin()
