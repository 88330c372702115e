"""Claims: one owner at a time, named to the next; taken over after silence, and at once by the same task."""

import datetime as dt
import json
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from intacct_provider.exceptions import IntacctArgumentError, IntacctDestinationInUseError
from intacct_provider.storage import claims, exclusive
from intacct_provider.storage.claims import Claim, Holder

MANUAL = Holder("books", "manual__1", "export")
SCHEDULED = Holder("books", "scheduled__1", "export")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(claims, "WAIT", 0.0)
    monkeypatch.setattr(claims, "_POLL", 0.001)


@pytest.fixture
def target(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/out/customers.jsonl")


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def silence(target, seconds=700):
    """Let every claim have been silent for so long."""
    for path in target.parent.iterdir():
        record = json.loads(path.read_bytes())
        renewed = dt.datetime.fromisoformat(record["renewed"]) - dt.timedelta(seconds=seconds)
        path.write_text(json.dumps({**record, "renewed": renewed.isoformat()}))


def abandon(claim):
    """Let the owner of a claim die."""
    claim.__enter__()
    claim._done.set()
    return claim


def test_a_second_owner_is_refused_retryably_by_the_name_of_the_first(target):
    with (
        Claim(target, MANUAL) as first,
        pytest.raises(IntacctDestinationInUseError) as caught,
        Claim(target, SCHEDULED),
    ):
        pytest.fail("two owners")
    for name in (
        "customers.jsonl",
        "'export'",
        "'manual__1'",
        "'books'",
        f"since {first._record.since:%Y-%m-%d %H:%M:%S}",
    ):
        assert name in str(caught.value)
    assert caught.value.retryable
    assert names(target) == []


def test_a_second_owner_waits_for_the_first(target, monkeypatch):
    monkeypatch.setattr(claims, "WAIT", 30.0)
    entered = threading.Event()

    def second():
        with Claim(target, SCHEDULED) as claim:
            claim.check()
            entered.set()

    with Claim(target, MANUAL) as first:
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.1)
        first.check()
    waiting.join(10)
    assert entered.is_set()


def test_a_claim_is_renewed_while_its_owner_works(target, monkeypatch):
    monkeypatch.setattr(claims, "RENEWAL", 0.005)
    with Claim(target, MANUAL):
        [path] = target.parent.iterdir()
        before = path.read_bytes()
        until = time.monotonic() + 10
        while path.read_bytes() == before and time.monotonic() < until:
            time.sleep(0.005)
        after = json.loads(path.read_bytes())
    assert after["renewed"] > json.loads(before)["renewed"]
    assert after["since"] == json.loads(before)["since"]


def test_it_may_be_taken_over_after_ten_minutes_of_silence_and_not_before(target):
    first = abandon(Claim(target, MANUAL))
    silence(target, 500)
    with pytest.raises(IntacctDestinationInUseError), Claim(target, SCHEDULED):
        pass
    silence(target, 110)
    with Claim(target, SCHEDULED) as second:
        second.check()
        with pytest.raises(
            IntacctDestinationInUseError, match=r"taken over by task 'export' of run 'scheduled__1'"
        ):
            first.check()
        first.__exit__()
        second.check()
        with pytest.raises(IntacctDestinationInUseError, match="scheduled__1"), Claim(target, MANUAL):
            pass
    assert names(target) == []


def test_a_sign_of_life_from_the_far_future_is_none(target):
    """A worker with a wrong clock has died."""
    abandon(Claim(target, MANUAL))
    silence(target, -500)
    with pytest.raises(IntacctDestinationInUseError), Claim(target, SCHEDULED):
        pass
    silence(target, -(10**9))
    with Claim(target, SCHEDULED) as second:
        second.check()
    assert names(target) == []


def test_of_many_who_take_over_one_succeeds(target):
    abandon(Claim(target, MANUAL))
    silence(target)
    owners, starts = [], threading.Barrier(8)

    def take(number):
        claim = Claim(target, Holder("books", f"run {number}", "export"))
        starts.wait()
        try:
            claim.__enter__()
        except IntacctDestinationInUseError:
            return
        owners.append(claim)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [owner] = owners
    owner.check()
    owner.__exit__()
    assert names(target) == []


def test_the_next_attempt_of_a_task_takes_its_own_claim_over_at_once(target):
    first = abandon(Claim(target, MANUAL))
    with Claim(target, MANUAL) as second:
        second.check()
        with pytest.raises(IntacctDestinationInUseError):
            first.check()
    assert names(target) == []


def test_mapped_tasks_with_one_destination_are_refused_permanently_and_both_named(target):
    first = Claim(target, Holder("books", "run", "export", 0))
    with (
        first,
        pytest.raises(IntacctArgumentError, match=r"Mapped tasks 0 and 3 of task 'export' in run 'run'"),
    ):
        Claim(target, Holder("books", "run", "export", 3)).__enter__()


def test_processes_outside_of_airflow_are_never_the_same_owner(target):
    with Claim(target, Holder()), pytest.raises(IntacctDestinationInUseError, match=r"by process \d+ on "):
        Claim(target, Holder()).__enter__()


def test_a_claim_that_a_person_removed_is_made_again(target):
    with Claim(target, MANUAL) as claim:
        for path in target.parent.iterdir():
            path.unlink()
        with pytest.raises(IntacctDestinationInUseError, match="taken over by another task"):
            claim.check()
        with claim.publishing():
            claim.check()
        with pytest.raises(IntacctDestinationInUseError), Claim(target, SCHEDULED):
            pass
    assert names(target) == []


def claim_of(token, at):
    return json.dumps({"token": token, "holder": {}, "since": at, "renewed": at}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff", b"[]",
        *(claim_of(token, "2026-12-01T00:00:00Z") for token in ("", "a/b", "\0" * 16, "a" * 300)),
        claim_of("a" * 16, "2026-12-01T00:00:00"),
    ],
)  # fmt: skip
def test_a_claim_that_cannot_be_read_counts_for_ten_minutes(target, content, monkeypatch):
    target.parent.mkdir()
    (target.parent / ".customers.jsonl.claim").write_bytes(content)
    with pytest.raises(IntacctDestinationInUseError, match="an unknown process since"), Claim(target, MANUAL):
        pass
    monkeypatch.setattr(claims, "SILENCE", -1.0)
    with Claim(target, MANUAL) as claim:
        claim.check()
    assert names(target) == []


@pytest.mark.parametrize("owned", [False, True], ids=["nobody's", "silent"])
def test_a_claim_that_cannot_be_created_is_given_up_retryably(target, monkeypatch, owned):
    """The storage says that the file exists, and does not show it."""
    if owned:
        abandon(Claim(target, SCHEDULED))
        silence(target)
    monkeypatch.setattr(claims, "create_exclusively", lambda *_: False)
    with pytest.raises(IntacctDestinationInUseError, match=r"could not be claimed.*\.claim") as caught:
        Claim(target, MANUAL).__enter__()
    assert caught.value.retryable
    assert "manual__1" in str(caught.value)


def test_owners_that_each_end_at_once_do_not_stop_the_next_one(target, monkeypatch):
    create, others = claims.create_exclusively, iter(range(3))

    def lose(path, content):
        """Let another one create the claim, and end."""
        return False if next(others, None) is not None else create(path, content)

    monkeypatch.setattr(claims, "create_exclusively", lose)
    with Claim(target, MANUAL) as claim:
        claim.check()


def make_pipe(path):
    os.mkfifo(path)


def make_folder(path):
    path.mkdir()


def make_device(path):
    path.symlink_to("/dev/zero")


def make_link(path):
    path.with_name("precious").touch()
    path.symlink_to("precious")


def make_dangling_link(path):
    path.symlink_to("nothing")


@pytest.mark.parametrize("make", [make_pipe, make_folder, make_device, make_link, make_dangling_link])
def test_what_is_not_a_file_under_the_name_of_a_claim_is_refused_and_stays(target, make):
    target.parent.mkdir()
    place = Path(target.path).parent / ".customers.jsonl.claim"
    make(place)
    with pytest.raises(IntacctArgumentError, match=r"\.customers\.jsonl\.claim' cannot be written: it is a"):
        Claim(target, MANUAL).__enter__()
    assert os.path.lexists(place)


def test_one_who_is_late_does_not_follow_a_claim_that_is_gone(target):
    """It found the claim silent; before it created its own, that one ended and another owner came."""
    old = abandon(Claim(target, MANUAL))
    silence(target)
    late = Claim(target, Holder("books", "late", "export"))
    [silent] = late._read_chain()
    old._release()
    with Claim(target, SCHEDULED) as owner:
        assert not late._create(claims._successor(late._root, silent))
        owner.check()


def test_an_owner_that_was_asleep_does_not_renew_what_is_no_longer_its_own(target):
    first = abandon(Claim(target, MANUAL))
    silence(target)
    with Claim(target, SCHEDULED) as second:
        first._renew()
        second.check()
    with pytest.raises(FileNotFoundError):
        first._renew()
    assert names(target) == []


def test_a_disk_is_published_to_by_one_at_a_time(target):
    """The next attempt begins while the one before is publishing."""
    first, order = abandon(Claim(target, MANUAL)), []
    with first.publishing():
        second = abandon(Claim(target, MANUAL))

        def publish():
            with second.publishing():
                order.append("second")

        waiting = threading.Thread(target=publish)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    with pytest.raises(IntacctDestinationInUseError), first.publishing():
        pass


def test_a_file_system_without_nameless_files_creates_exclusively_too(target, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(exclusive, "_link_nameless", refuse)
    with Claim(target, MANUAL), pytest.raises(IntacctDestinationInUseError), Claim(target, SCHEDULED):
        pass
    assert names(target) == []


def test_storages_without_exclusive_creation_have_no_owner():
    target = ObjectStoragePath("memory://claims/customers.jsonl")
    with Claim(target, MANUAL) as one, Claim(target, SCHEDULED) as other:
        assert not one.exclusive
        one.check()
        with other.publishing():
            assert not target.parent.exists()


class Owners(RuleBasedStateMachine):
    """Tasks that claim one destination, work, sleep, die and try again, in any order."""

    numbers = st.integers(0, 3)

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.now = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
        for name, value in {"WAIT": 0.0, "_POLL": 0.0, "RENEWAL": 1e6, "_now": lambda: self.now}.items():
            self.patch.setattr(claims, name, value)
        self.folder = tempfile.TemporaryDirectory()
        self.target = ObjectStoragePath(f"file://{self.folder.name}/customers.jsonl")
        self.claims = []

    def teardown(self):
        for claim in self.claims:
            claim._done.set()
        self.patch.undo()
        self.folder.cleanup()

    @rule(number=numbers)
    def claim(self, number):
        claim = Claim(self.target, Holder("books", f"run {number}", "export"))
        with suppress(IntacctDestinationInUseError):
            claim.__enter__()
            self.claims.append(claim)

    @rule(number=st.integers(0, 9), last=st.booleans())
    def end(self, number, last):
        """One ends well, or dies."""
        if number < len(self.claims):
            claim = self.claims.pop(number)
            claim.__exit__() if last else claim._done.set()

    @rule(number=st.integers(0, 9))
    def renew(self, number):
        if number < len(self.claims):
            with suppress(FileNotFoundError):
                self.claims[number]._renew()

    @rule(minutes=st.sampled_from([1, 9, 11]))
    def wait(self, minutes):
        self.now += dt.timedelta(minutes=minutes)

    @invariant()
    def there_is_one_owner_at_most(self):
        owners = []
        for claim in self.claims:
            with suppress(IntacctDestinationInUseError):
                claim.check()
                owners.append(claim)
        assert len(owners) <= 1

    @invariant()
    def an_owner_leaves_nothing(self):
        names = {path.name for path in self.target.parent.iterdir()}
        assert not names or ".customers.jsonl.claim" in names


TestOwners = Owners.TestCase
TestOwners.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
