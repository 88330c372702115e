"""Two processes that write to one destination on an object storage at once: one owner, and never a false pair."""

from collections import Counter

import pytest
from cloud_races import look, racers
from clouds import run_cloud

from intacct_provider.sandbox import Sandbox

pytestmark = pytest.mark.slow
CREATIONS = 25
RACES = 4


@pytest.fixture(scope="module")
def connection():
    with Sandbox(seed="accounts-receivable/customer=120") as company:
        yield company.connection()


@pytest.fixture(scope="module", params=["s3", "gs", "abfs"])
def race(request, connection):
    """A storage, a bucket on it, and two processes."""
    with run_cloud(request.param) as cloud, racers(cloud, connection) as running:
        yield cloud, cloud.make_bucket().path.rstrip("/"), running


def test_of_two_that_create_a_file_at_once_one_does(race):
    cloud, bucket, running = race
    for number in range(CREATIONS):
        running.begin("create", f"{bucket}/claims/{number}")
        created = running.finish()
        assert sorted(created) == [False, True]
        content = cloud.fs.cat_file(f"{bucket}/claims/{number}")
        assert content == f"process {created.index(True)}".encode()


@pytest.mark.parametrize("name", ["customers.jsonl", "customers.csv", "customers.parquet"])
def test_of_two_exports_at_once_one_succeeds_and_a_reader_never_sees_the_files_of_both(race, name):
    cloud, bucket, running = race
    place = f"{bucket}/{name.partition('.')[2]}/{name}"
    for _ in range(RACES):
        seen = Counter()
        running.begin("export", place)
        while not running.is_done():
            seen[look(cloud, place)] += 1
        results = running.finish()
        assert "green" in results
        assert all(one == "green" or one.startswith("IntacctDestinationInUseError") for one in results)
        assert seen["another file"] == 0
        assert look(cloud, place) == "fits"
    cloud.fs.invalidate_cache()
    assert [path for path in cloud.fs.find(f"{bucket}/{name.partition('.')[2]}") if "/." in path] == []
