"""DAGs of which a task remembers how far it came: with an asset, in a Variable, and one instance of a mapped task."""

import datetime as dt

from airflow.providers.common.compat.sdk import DAG, Asset, task

CUSTOMERS = Asset("remembered-customers")
NOON = "2026-06-30T12:00:00Z"


def remember(context, outlets, **what):
    """Commit a run of an export, and return what was known before: the watermark, and the name of the document."""
    from intacct_provider.export.incremental.state import ExportState
    from intacct_provider.export.incremental.window import Window
    from intacct_provider.export.schema.columns import Column
    from intacct_provider.hooks.state_store import find_state_store, name_state

    name = name_state(context, {"object": "accounts-receivable/customer", **what})
    state = ExportState(find_state_store(context, outlets), name)
    before = state.watermark("audit.modifiedDateTime")
    hour = dt.datetime.fromisoformat(before or NOON) + dt.timedelta(hours=1)
    window = Window("audit.modifiedDateTime", before, hour.strftime("%Y-%m-%dT%H:%M:%SZ"))
    state.remember(context["run_id"], window)
    state.commit(context["run_id"], window=window, columns=[Column("key", "key", "string")])
    return [before, state.name]


with DAG("export_state_asset", schedule=None):

    @task(outlets=[CUSTOMERS])
    def with_asset(**context):
        return remember(context, [CUSTOMERS])

    with_asset()

with DAG("export_state_variable", schedule=None):

    @task
    def with_variable(**context):
        return remember(context, [])

    @task
    def mapped(_number, **context):
        return remember(context, [])

    with_variable()
    mapped.expand(_number=[1, 2])
