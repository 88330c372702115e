"""Owners of destinations on object storages: one at a time, and no claim outlives the last of them."""

import threading

import pytest
from clouds import run_cloud

from intacct_provider.exceptions import IntacctDestinationInUseError
from intacct_provider.storage import claims
from intacct_provider.storage.claims import Claim, Holder

#: The same on another storage is left to the full run.
CLOUDS = ["s3", *(pytest.param(scheme, marks=pytest.mark.slow) for scheme in ("gs", "abfs"))]


@pytest.fixture(scope="module", params=CLOUDS)
def cloud(request):
    with run_cloud(request.param) as running:
        yield running


@pytest.fixture
def target(cloud):
    return cloud.make_bucket() / "exports" / "customers.jsonl"


def left(target):
    """Return the names of all files beside a target."""
    target.fs.invalidate_cache()
    return [path.rpartition("/")[2] for path in target.fs.find(target.parent.path)]


def claim(target, run):
    return Claim(target, Holder("dag", run, "export"))


def test_a_second_owner_fails_and_names_the_first(target, monkeypatch):
    monkeypatch.setattr(claims, "WAIT", 0.0)
    with claim(target, "run 1") as first:
        with pytest.raises(IntacctDestinationInUseError, match="run 1") as raised, claim(target, "run 2"):
            pass
        assert raised.value.retryable
        first.check()
    assert left(target) == []


def test_a_silent_owner_is_followed_and_publishes_no_more(target, monkeypatch):
    with claim(target, "run 1") as first:
        monkeypatch.setattr(claims, "SILENCE", 0.0)
        with claim(target, "run 2") as second:
            monkeypatch.setattr(claims, "SILENCE", 600.0)
            with second.publishing():
                pass
            with pytest.raises(IntacctDestinationInUseError, match="run 2"), first.publishing():
                pass
    assert left(target) == []


def test_a_renewal_that_is_under_way_at_the_end_leaves_no_claim(target, monkeypatch):
    writing, ending, write = threading.Event(), threading.Event(), claims.write_if

    def write_late(*arguments):
        writing.set()
        ending.wait(0.5)  # the owner ends meanwhile
        return write(*arguments)

    monkeypatch.setattr(claims, "RENEWAL", 0.01)
    monkeypatch.setattr(claims, "write_if", write_late)
    with claim(target, "run 1"):
        assert writing.wait(10)
    ending.set()
    for thread in threading.enumerate():
        if thread.name == "renew-claim":
            thread.join(10)
    assert left(target) == []


def sleep_in(monkeypatch, name, meanwhile):
    """Let something happen just before the next change of this name."""
    change = getattr(claims, name)

    def late(*arguments):
        monkeypatch.setattr(claims, name, change)
        meanwhile()
        return change(*arguments)

    monkeypatch.setattr(claims, name, late)


def follow(target, monkeypatch, run):
    """Become the owner after one that is silent."""
    with monkeypatch.context() as patch:
        patch.setattr(claims, "SILENCE", -1.0)
        return claim(target, run).__enter__()


def test_a_renewal_that_sleeps_leaves_the_claim_of_a_later_owner_alone(target, monkeypatch):
    first, later = claim(target, "run 1").__enter__(), []

    def come_and_go():
        follow(target, monkeypatch, "run 2").__exit__()
        later.append(claim(target, "run 3").__enter__())

    sleep_in(monkeypatch, "write_if", come_and_go)
    first._renew()
    later[0].check()
    with pytest.raises(IntacctDestinationInUseError, match="run 3"):
        first.check()
    first.__exit__()
    later[0].check()
    later[0].__exit__()
    assert left(target) == []


def test_an_end_that_sleeps_leaves_the_claim_of_a_later_owner_alone(target, monkeypatch):
    first, later = claim(target, "run 1").__enter__(), []

    def come_and_go():
        follow(target, monkeypatch, "run 2").__exit__()
        later.append(claim(target, "run 3").__enter__())

    sleep_in(monkeypatch, "remove_if", come_and_go)
    first.__exit__()
    later[0].check()
    later[0].__exit__()
    assert left(target) == []
