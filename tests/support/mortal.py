"""A process that applies plans in children of its own, which die where they are told to. See ``sync_deaths.py``.

It reads a line of JSON with a list of jobs, runs each in a child at the same time, and answers with a line of JSON that
has for each one what came out, or the signal that ended it.

A child that is told to die before its n-th operation on a file of the plan's folder kills itself with SIGKILL, so
nothing of it can tidy up.
"""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent
#: What Python reports before it changes files.
OPERATIONS = frozenset({"open", "os.rename", "os.link", "os.remove", "os.mkdir"})


def dying(folder, moment):
    """Return a hook that ends this process before an operation, counted from 1, on anything in a folder."""
    count = 0

    def hook(event, args):
        nonlocal count
        if event in OPERATIONS and str(args[0]).startswith(folder) and not changes_nothing(event, args):
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def changes_nothing(event, args):
    """Whether nobody could see that an operation was done."""
    if event == "open":
        return str(args[0]).endswith(".part") or not args[2] & (os.O_WRONLY | os.O_RDWR)
    return event == "os.mkdir" and Path(args[0]).is_dir()


def work(job):
    """Apply a plan as a task does; return what came out."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from sync_work import applied

    from intacct_provider.client import IntacctClient, IntacctConfig
    from intacct_provider.client.http.retry import RetryPolicy

    if job["moment"]:
        sys.addaudithook(dying(job["folder"], job["moment"]))
    path = ObjectStoragePath(job["path"])
    with IntacctClient(IntacctConfig(**job["config"]), retry=RetryPolicy(base=0.01, budget=10)) as client:
        try:
            outcome = applied(client, path, job["owner"], **job["how"])
        except Exception as err:
            return {"error": type(err).__name__, "message": str(err)}
    names = ("created", "updated", "deactivated", "deleted", "held", "found")
    return {name: getattr(outcome, name) for name in names} | {
        "stale": outcome.stale,
        "refused": [reject.match for reject in outcome.rejects],
    }


def child(job, answer):
    """Run one job in a child; return its process id."""
    pid = os.fork()
    if pid == 0:
        Path(answer).write_text(json.dumps(work(job)))
        os._exit(0)
    return pid


def main():
    """Serve until there are no more lines."""
    # Airflow logs to the standard output, where only answers belong.
    answers_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, str(TESTS))
    import sync_work  # noqa: F401 - once, for all children

    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            jobs = json.loads(line)
            answers = [Path(folder) / str(number) for number in range(len(jobs))]
            pids = [child(job, answer) for job, answer in zip(jobs, answers, strict=True)]
            print(json.dumps({"pids": pids}), file=answers_to, flush=True)
            endings = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
            results = [
                json.loads(answer.read_text()) if ending == 0 else {"signal": -ending}
                for answer, ending in zip(answers, endings, strict=True)
            ]
            print(json.dumps({"answers": results}), file=answers_to, flush=True)


if __name__ == "__main__":
    main()
