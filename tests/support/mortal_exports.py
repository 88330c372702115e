"""A process that runs exports in children of its own, which die where they are told to. See ``export_deaths.py``.

It is served like ``mortal.py``. A child kills itself with SIGKILL before it sends something for the n-th time, or
before its n-th operation on a file of the destination's folder; or the kernel ends it in the middle of a write, once a
file has N bytes.
"""

import os
import resource
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))

# All that an export needs, once for all children.
import mortal  # noqa: E402
import pyarrow.parquet  # noqa: E402, F401
from airflow.providers.common.compat.sdk import AirflowFailException  # noqa: E402

from intacct_provider.client import IntacctClient  # noqa: E402, F401
from intacct_provider.export import run  # noqa: E402, F401
from intacct_provider.export.files import parts  # noqa: E402, F401
from intacct_provider.export.ranges import commit  # noqa: E402, F401
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator  # noqa: E402
from intacct_provider.transfers.intacct_to_object_storage import (  # noqa: E402
    IntacctToObjectStorageOperator,
)

FILES = frozenset({"open", "os.rename", "os.link", "os.remove", "os.mkdir"})
SEND = "http.client.send"


def dying(folder, kind, moment):
    """Return a hook that ends this process before its n-th request or its n-th operation on files in a folder."""
    count = 0

    def hook(event, args):
        nonlocal count
        wanted = event == SEND if kind == "send" else event in FILES and seen(event, args)
        if wanted:
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    def seen(event, args):
        if not str(args[0]).startswith(folder):
            return False
        if event == "open":
            return bool(args[2] & (os.O_WRONLY | os.O_RDWR))
        return event != "os.mkdir" or not Path(args[0]).is_dir()

    return hook


def work(job):
    """Run an operator as a task does; return what it returns."""
    os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = job["connection"]
    kinds = {"export": IntacctToObjectStorageOperator, "commit": IntacctCommitExportOperator}
    operator = kinds[job["task"]](task_id=job["task"], **job["arguments"])
    task = SimpleNamespace(**job["owner"], task_id=job["task"], max_tries=1, try_number=1)
    if job["kind"] == "bytes":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["moment"], job["moment"]))
    elif job["kind"]:
        sys.addaudithook(dying(job["folder"], job["kind"], job["moment"]))
    try:
        return operator.execute({"ti": task})
    except AirflowFailException as err:
        return {"error": str(err)}


if __name__ == "__main__":
    mortal.work = work
    mortal.main()
