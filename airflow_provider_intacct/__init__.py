"""Where Airflow looks for the example DAGs of a provider: in a package named after its distribution.

The wheel has the folder ``example_dags`` in here. In a checkout it is beside this package.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
if not (_HERE / "example_dags").is_dir():
    __path__ = [str(_HERE.parent)]
