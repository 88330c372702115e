"""Loads into databases in processes that kill themselves, for the tests of what is left.

As a program it reads lines of JSON, loads in a child of its own for each of them, and answers with what came out, or
the signal that ended it. A child that is told to die before its n-th operation on the database kills itself with
SIGKILL.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

#: What a child that killed itself answers.
KILLED = {"signal": 9}


class Dying:
    """A connection, or a cursor of it, that ends the process before one of its operations."""

    #: Operations until the end; none is the end for a negative number.
    left = -1

    def __init__(self, real):
        self.__dict__["_real"] = real

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name == "cursor":
            return lambda *args: Dying(found(*args))
        if name in ("execute", "executemany", "copy", "copy_expert", "begin", "commit", "close"):
            return lambda *args: self._counted(found, *args)
        return found

    def __setattr__(self, name, value):
        setattr(self._real, name, value)

    @staticmethod
    def _counted(operation, *args):
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return operation(*args)


def task(try_number=1, **changes):
    """Return the context of a task's try."""
    facts = {"dag_id": "dag", "run_id": "run", "task_id": "load", "map_index": -1, "max_tries": 3}
    return {"ti": SimpleNamespace(**facts | {"try_number": try_number} | changes), "run_id": "run"}


def load(job):
    """Load as a worker does; return what the task returns."""
    from airflow.providers.common.compat.sdk import BaseHook

    from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

    os.environ.update(job["environment"])
    hook = type(BaseHook.get_connection(job["arguments"]["sql_conn_id"]).get_hook())
    hook.get_conn = lambda self, real=hook.get_conn: Dying(real(self))
    Dying.left = job["moment"]
    return IntacctToSqlOperator(task_id="load", **job["arguments"]).execute(task(**job["task"]))


def warm_up():
    """Import and find once, for all children, what takes them most of their time."""
    from airflow.providers.common.compat.sdk import get_hook_lineage_collector

    import intacct_provider.client.paging.complete_read
    import intacct_provider.export.deletes.detection
    import intacct_provider.export.sql.table_load
    import intacct_provider.hooks.intacct  # noqa: F401
    from intacct_provider.exceptions import IntacctArgumentError
    from intacct_provider.operators._sql_hook import sql_hook

    for kind in ("postgres", "sqlite", "duckdb", "mysql"):
        os.environ["AIRFLOW_CONN_WARM"] = json.dumps({"conn_type": kind})
        with suppress(IntacctArgumentError):  # MySQL's provider is not installed everywhere
            sql_hook("warm")
    get_hook_lineage_collector()


def main():
    """Serve until there are no more lines."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Airflow logs to the standard output, where only answers belong.
    warm_up()
    for line in sys.stdin:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, json.dumps(load(json.loads(line))).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            output = pipe.read()
        ending = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(output.decode() if ending == 0 else json.dumps({"signal": -ending}), file=answers, flush=True)


@contextmanager
def mortal_loads():
    """Run the program, and give a function that has it load: ``run(environment, arguments, moment=0, **task)``."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, __file__], **pipes, start_new_session=True) as process:

        def run(environment, arguments, moment=0, **changes):
            job = {"environment": environment, "arguments": arguments, "moment": moment, "task": changes}
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, "the process that loads has ended"
            return json.loads(line)

        try:
            yield run
        finally:
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
