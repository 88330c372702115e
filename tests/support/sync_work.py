"""Plans of a sandbox's records, and their application as tasks do it."""

from dataclasses import replace

from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.sync.applying.apply import apply_plan
from intacct_provider.sync.applying.journal import Journal
from intacct_provider.sync.applying.rejects import Tolerance
from intacct_provider.sync.plan import Plan
from intacct_provider.sync.planning.live import read_live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.request import SyncRequest

OWNER = "dag/run/apply"


def planned(
    client, object_name, desired, *, mode="upsert", scope=None, protect=None, on_delete="delete", **how
):
    """Return the plan that makes the live records as desired."""
    model = client.model(object_name)
    match_on = how.get("match_on", "id")
    scope = "all" if mode == "mirror" and scope is None else scope
    request = SyncRequest(object_name, mode, match_on, scope=scope, protect=protect, on_delete=on_delete)
    plan = plan_changes(desired, read_live(client, desired, model, request), model, request)
    return replace(plan, **{name: value for name, value in how.items() if name != "match_on"})


def saved(plan, folder, name="groups.plan.json"):
    """Write a plan to a folder and return its path."""
    path = ObjectStoragePath(str(folder / name))
    path.write_bytes(plan.to_json())
    return path


def applied(client, path, owner=OWNER, *, max_rejects=0, max_reject_percent=None, **how):
    """Apply a saved plan as a task does."""
    plan = Plan.from_json(path.read_bytes())
    tolerance = Tolerance(max_rejects, max_reject_percent)
    return apply_plan(client, plan, journal=Journal(path, plan, owner), tolerance=tolerance, **how)


def undone(client, path, owner="dag/undo/apply", **how):
    """Apply the reverse of a saved plan."""
    return applied(client, path.with_name(path.name.replace(".json", ".undo.json")), owner, **how)
