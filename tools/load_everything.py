"""Import every module of the installed package and parse every example DAG, with the Airflow that is installed.

``tools/versions.py`` calls it in the environment of each release, with the folder of the examples. It fails on what
cannot be loaded, and on a warning of a deprecation that our own lines cause.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from pathlib import Path

PACKAGE = "intacct_provider"
#: Modules that need more than Airflow 3.1 has, or an extra; what needs them says so. Every other one must load.
OPTIONAL = {
    f"{PACKAGE}.export.files.parquet": "pyarrow",
    f"{PACKAGE}.policies.retry": "retry policies",
    f"{PACKAGE}.triggers.queue_stream": "streams that triggers share",
    f"{PACKAGE}.testing": "pytest",
}


def main(examples: Path) -> int:
    """Load everything; return 0 if all went well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        package = importlib.import_module(PACKAGE)
        problems, missing, loaded = load_modules(package.__path__)
        dags = load_dags(examples, problems, missing)
    own = (str(Path(package.__path__[0])), str(examples))
    problems += [
        f"{one.filename}:{one.lineno}: {one.category.__name__}: {one.message}"
        for one in caught
        if issubclass(one.category, DeprecationWarning | FutureWarning | PendingDeprecationWarning)
        and one.filename.startswith(own)
    ]
    print(f"  {loaded} modules and {dags} DAGs", *(f"without {one}" for one in missing), sep=", ", flush=True)
    for problem in problems:
        print(f"  {problem}", file=sys.stderr)
    return bool(problems)


def load_modules(path: list[str]) -> tuple[list[str], list[str], int]:
    """Import all modules; return the problems, what Airflow lacks for the optional ones, and how many loaded."""
    problems, missing, loaded = [], [], 0
    for found in pkgutil.walk_packages(path, f"{PACKAGE}."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
        except ImportError as err:
            if found.name in OPTIONAL:
                missing.append(OPTIONAL[found.name])
            else:
                problems.append(f"{found.name}: {err}")
        else:
            loaded += 1
    return problems, missing, loaded


def load_dags(examples: Path, problems: list[str], missing: list[str]) -> int:
    """Parse the examples as Airflow does; return how many DAGs there are."""
    try:
        from airflow.dag_processing.dagbag import DagBag  # Airflow 3.2 and later
    except ImportError:
        from airflow.models.dagbag import DagBag  # noqa: TID251 - where Airflow 3.1 has it

    bag = DagBag(str(examples))
    for file, error in bag.import_errors.items():
        lacking = "needs Airflow" in error
        (missing if lacking else problems).append(Path(file).name if lacking else f"{file}: {error}")
    return len(bag.dags)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
