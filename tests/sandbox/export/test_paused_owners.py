"""An owner that is stopped just before any change to a storage, and wakes up after the next one has exported."""

from types import SimpleNamespace

import pytest
from cloud_races import look
from clouds import run_cloud
from sandbox_client import running

from intacct_provider.exceptions import IntacctDestinationInUseError
from intacct_provider.export.files import publication, staging
from intacct_provider.export.files.manifest import read_manifest
from intacct_provider.storage import claims
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
#: What changes a storage, where it is used.
CHANGES = [
    (publication, ("write_if", "rename_if", "remove_if", "create_exclusively", "remove_proven")),
    (claims, ("remove_if", "remove")),
    (staging, ("write_small", "remove")),
]


@pytest.fixture(scope="module")
def cloud(request):
    with run_cloud(request.param) as one:
        yield one


@pytest.fixture(scope="module")
def company():
    with running(f"{CUSTOMER}=60") as one:
        yield one


@pytest.fixture(autouse=True)
def _airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    monkeypatch.setattr(claims, "WAIT", 0.0)


def export(target, run, above, attempt=1):
    """Export the records above a key in parts; return the digest of the files."""
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=CUSTOMER,
        fields=["key", "id"],
        filters=[{"$gt": {"key": str(above)}}],
        destination=str(target),
        rows_per_part=25,
    )
    task = SimpleNamespace(
        dag_id="books", run_id=run, task_id="export", map_index=-1, try_number=attempt, max_tries=3
    )
    return operator.execute({"ti": task})["sha256"]


class Stopped:
    """Stops a process just before its n-th change, until something else has happened."""

    def __init__(self, monkeypatch, at, meanwhile):
        self.changes, self._at, self._meanwhile = 0, at, meanwhile
        self.happened = None
        for module, names in CHANGES:
            for name in names:
                monkeypatch.setattr(module, name, self._stop(getattr(module, name)))

    def _stop(self, change):
        def changed(*arguments, **options):
            self.changes += 1
            if self.changes == self._at:
                self.happened = self._meanwhile()
            return change(*arguments, **options)

        return changed


def stop_at(number, cloud, monkeypatch, *, next_run):
    """Stop an export at a change, let another one export, and wake it up; return whether there was such a change."""
    target = cloud.make_bucket() / "customers.jsonl"
    place = target.path.lstrip("/")
    before, seen = export(target, "before", 0), []

    def take_over():
        with monkeypatch.context() as patch:
            patch.setattr(claims, "SILENCE", -1.0)
            seen.append(read_digest(target))
            # A retry reads what the attempt before has read.
            mine = export(target, next_run, 20 if next_run == "first" else 40, attempt=2)
        assert look(cloud, place) == "fits"
        return mine

    with monkeypatch.context() as patch:
        stopped = Stopped(patch, number, take_over)
        try:
            digest = export(target, "first", 20)
        except IntacctDestinationInUseError:  # which Airflow retries
            digest = None
    if stopped.happened is None:
        return False
    assert look(cloud, place) == "fits"
    assert read_digest(target) == stopped.happened, "the export that was the last to begin"
    # One that was published before the next one began has succeeded, and no other one.
    assert digest in (None, *seen)
    assert digest != before
    assert export(target, "after", 0)
    assert look(cloud, place) == "fits"
    return True


def read_digest(target):
    manifest = read_manifest(target.with_name(f"{target.name}.manifest.json"))
    return manifest and manifest.sha256


def on_clouds(**numbers):
    """Return the changes to stop at, by storage; all but one are left to the full run."""
    return [
        pytest.param(
            scheme, n, marks=() if (scheme, n) == ("s3", 8) else pytest.mark.slow, id=f"{scheme}-{n}"
        )
        for scheme, some in numbers.items()
        for n in some
    ]


#: Each change on S3, and on the others, which are slow here, each kind of it: records of parts are written (1, 2),
#: notes (3) and a manifest (7), manifest, notes and a former part deleted (4, 9, 10), files renamed (5, 6, 8).
@pytest.mark.parametrize(
    ("cloud", "number"),
    on_clouds(s3=range(1, 13), gs=(1, 3, 4, 6, 7), abfs=(3, 5, 7, 9, 11)),
    indirect=["cloud"],
)
def test_wherever_an_owner_is_stopped_the_next_export_stays_whole(cloud, monkeypatch, number):
    assert stop_at(number, cloud, monkeypatch, next_run="next")


@pytest.mark.slow
@pytest.mark.parametrize(("cloud", "number"), on_clouds(s3=(4, 10), gs=(6,), abfs=(8,)), indirect=["cloud"])
def test_wherever_an_attempt_is_stopped_the_next_one_stays_whole(cloud, monkeypatch, number):
    assert stop_at(number, cloud, monkeypatch, next_run="first")
