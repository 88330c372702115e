"""Run the example DAGs that load a warehouse, up to its own operator, and let DuckDB load what the statements name."""

from __future__ import annotations

import re
import secrets
from fnmatch import fnmatchcase
from types import SimpleNamespace

import duckdb
import pytest
from clouds import run_cloud
from sqlalchemy import select

from intacct_provider.sandbox import Sandbox

CUSTOMER = "accounts-receivable/customer"
COLUMNS = ["intacct_key", "customer_id", "name", "status", "total_due", "modified_at"]


@pytest.fixture(scope="module")
def s3():
    with run_cloud("s3", "aws_default") as cloud, pytest.MonkeyPatch.context() as patch:
        patch.delenv("AIRFLOW_CONN_AWS_DEFAULT")  # which is put back, and removed at the end
        cloud.connect()
        yield cloud


@pytest.fixture(scope="module")
def google():
    with run_cloud("gs", "google_cloud_default") as cloud:
        yield cloud


@pytest.fixture
def statements(monkeypatch):
    """What the warehouse is sent, and how its hook is made."""
    from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

    sent = []

    def get_db_hook(operator):
        def run(sql, **_):
            sent.extend([sql] if isinstance(sql, str) else sql)

        return SimpleNamespace(run=run, conn_id=operator.conn_id, hook_params=operator.hook_params)

    monkeypatch.setattr(SQLExecuteQueryOperator, "get_db_hook", get_db_hook)
    monkeypatch.setattr(SQLExecuteQueryOperator, "_should_run_output_processing", lambda _: False)
    return sent


def objects(bucket, tmp_path):
    """Return the local copies of all objects of a bucket, by name."""
    bucket.fs.invalidate_cache()
    found = {}
    for path in bucket.fs.find(bucket.path):
        name = path.partition("/")[2]
        found[name] = tmp_path / name.replace("/", "%")
        found[name].write_bytes(bucket.fs.cat_file(path))
    return found


def stored(sandbox):
    """Return the customers of a company's top level as columns of the recipes have them."""
    records = [one for one in sandbox.records(CUSTOMER) if not one["entity"]["key"]]
    assert records
    return sorted((one["key"], one["id"], one["name"], one["status"]) for one in records)


def loaded(files, source="read_parquet($files)", columns="intacct_key, customer_id, name, status"):
    """Return what DuckDB loads from files."""
    query = f"SELECT {columns} FROM {source}"  # noqa: S608
    return sorted(duckdb.execute(query, {"files": [str(file) for file in files]}).fetchall())


def bucket_name(bucket):
    return bucket.path.rstrip("/")


def test_snowflake_copies_the_one_file_of_the_day_in_place_of_the_old_rows(
    run_dag, sandbox, s3, statements, tmp_path
):
    bucket = s3.make_bucket()
    run = run_dag("intacct_to_snowflake", bucket=bucket_name(bucket), table="sales.customers")
    assert str(run.state) == "success"
    delete, copy = statements
    assert delete == "DELETE FROM sales.customers"
    assert "COPY INTO sales.customers FROM @finance.intacct\n" in copy
    # Without the first, times are loaded as numbers; without the second, a cleared task leaves an empty table.
    assert "USE_LOGICAL_TYPE = TRUE" in copy
    assert "FORCE = TRUE" in copy
    [file] = re.findall(r"FILES = \('(.+)'\)", copy)
    assert file == f"customers/{run.run_after.date()}/customers.parquet"
    found = objects(bucket, tmp_path)
    assert loaded([found[f"intacct/{file}"]]) == stored(sandbox)


@pytest.mark.slow
def test_redshift_copies_every_part_and_not_the_manifest(run_dag, sandbox, s3, statements, tmp_path):
    bucket = s3.make_bucket()
    run = run_dag("intacct_to_redshift", bucket=bucket_name(bucket))
    assert str(run.state) == "success"
    delete, copy = statements
    assert delete == "DELETE FROM finance.intacct_customers"
    [prefix] = re.findall(rf"FROM 's3://{bucket_name(bucket)}/(.+)' IAM_ROLE default FORMAT AS PARQUET", copy)
    found = objects(bucket, tmp_path)
    names = [name for name in found if name.startswith(prefix)]
    assert [name.removeprefix(prefix) for name in names] == ["00001.parquet"]
    assert len(found) == 2  # and the manifest
    assert loaded([found[name] for name in names]) == stored(sandbox)


@pytest.mark.slow
def test_bigquery_loads_every_part_and_not_the_manifest(run_dag, sandbox, google, statements, tmp_path):
    bucket = google.make_bucket()
    run = run_dag("intacct_to_bigquery", bucket=bucket_name(bucket))
    assert str(run.state) == "success"
    [load] = statements
    assert load.startswith("LOAD DATA OVERWRITE finance.intacct_customers FROM FILES (format = 'PARQUET'")
    [pattern] = re.findall(rf"uris = \['gs://{bucket_name(bucket)}/(.+)'\]", load)
    found = objects(bucket, tmp_path)
    names = [name for name in found if fnmatchcase(name, pattern)]
    assert len(names) == 1
    assert len(found) == 2
    assert loaded([found[name] for name in names]) == stored(sandbox)


@pytest.mark.slow
def test_databricks_merges_what_changed_and_a_cleared_load_changes_nothing(
    run_dag, sandbox, s3, statements, tmp_path
):
    bucket = s3.make_bucket()
    assert str(run_dag("intacct_to_databricks", bucket=bucket_name(bucket)).state) == "success"
    [merge] = statements
    place = re.compile(rf"parquet\.`s3://{bucket_name(bucket)}/(.+?)`")
    [file] = place.findall(merge)
    local = objects(bucket, tmp_path)[file]
    statement = place.sub(f"read_parquet('{local}')", merge)
    table = duckdb.connect()
    some = f"SELECT * FROM read_parquet('{local}') LIMIT 100"  # noqa: S608
    table.execute(f"CREATE TABLE customers AS {some}")
    table.execute("UPDATE customers SET name = 'before'")
    for _ in range(2):
        table.execute(statement.replace("finance.intacct_customers", "customers"))
        rows = table.execute("SELECT intacct_key, customer_id, name, status FROM customers").fetchall()
        assert sorted(rows) == stored(sandbox)


@pytest.mark.slow
def test_companies_are_distinct_in_one_table_and_the_day_is_a_partition(
    run_dag, sandbox, google, statements, tmp_path, monkeypatch
):
    bucket = google.make_bucket()
    with Sandbox(seed=f"{CUSTOMER}=30", client_secret=secrets.token_urlsafe(24)) as other:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_US", sandbox.connection())
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_UK", other.connection())
        run = run_dag("intacct_companies_to_one_table", bucket=bucket_name(bucket))
        assert str(run.state) == "success"
        expected = sorted(
            (company, *row) for company, one in (("us", sandbox), ("uk", other)) for row in stored(one)
        )
    [load] = statements
    day = str(run.run_after.date())
    assert f"hive_partition_uri_prefix = 'gs://{bucket_name(bucket)}/intacct/customers/date={day}'" in load
    assert "WITH PARTITION COLUMNS (company STRING)" in load
    patterns = re.findall(rf"'gs://{bucket_name(bucket)}/(.+?\.parquet)'", load)
    found = objects(bucket, tmp_path)
    for name, path in found.items():
        whole = tmp_path / "bucket" / name
        whole.parent.mkdir(parents=True, exist_ok=True)
        path.rename(whole)
    files = [tmp_path / "bucket" / name for name in found for one in patterns if fnmatchcase(name, one)]
    columns = "company, intacct_key, customer_id, name, status"
    assert loaded(files, "read_parquet($files, hive_partitioning=true)", columns) == expected
    # One event for all companies: each event starts the DAGs that wait for the partition.
    assert partitions("intacct_customers", run) == [day]


def partitions(name, run):
    """Return the partitions of the events of an asset in a run."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.settings import Session

    if not hasattr(AssetEvent, "partition_key"):
        pytest.skip("this Airflow has no partitions of assets")
    with Session() as session:
        query = select(AssetEvent.partition_key).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        found = query.where(AssetModel.name == name, AssetEvent.source_run_id == run.run_id)
        return list(session.scalars(found))
