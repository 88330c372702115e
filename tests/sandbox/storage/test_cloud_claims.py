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
    writing, ending, write = threading.Event(), threading.Event(), claims.write_small

    def write_late(path, content):
        writing.set()
        ending.wait(0.5)  # the owner ends meanwhile
        write(path, content)

    monkeypatch.setattr(claims, "RENEWAL", 0.01)
    monkeypatch.setattr(claims, "write_small", write_late)
    with claim(target, "run 1"):
        assert writing.wait(10)
    ending.set()
    for thread in threading.enumerate():
        if thread.name == "renew-claim":
            thread.join(10)
    assert left(target) == []
