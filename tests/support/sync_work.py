"""Plans of a sandbox's records, and their application as tasks do it."""

from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.sync.applying.apply import apply_plan
from intacct_provider.sync.applying.journal import Journal
from intacct_provider.sync.plan import Plan
from intacct_provider.sync.planning.live import read_live
from intacct_provider.sync.planning.planner import make_plan

OWNER = "dag/run/apply"


def planned(client, object_name, desired, *, mode="upsert", scope=None, on_delete="delete", **how):
    """Return the plan that makes the live records as desired."""
    model = client.model(object_name)
    match_on = how.get("match_on", "id")
    scope = "all" if mode == "mirror" and scope is None else scope
    live = read_live(client, object_name, desired, model, match_on=match_on, mode=mode, scope=scope)
    how = {"match_on": match_on, "on_delete": on_delete, **how}
    return make_plan(object_name, desired, live, model=model, mode=mode, **how)


def saved(plan, folder, name="groups.plan.json"):
    """Write a plan to a folder and return its path."""
    path = ObjectStoragePath(str(folder / name))
    path.write_bytes(plan.to_json())
    return path


def applied(client, path, owner=OWNER, **how):
    """Apply a saved plan as a task does."""
    plan = Plan.from_json(path.read_bytes())
    return apply_plan(client, plan, journal=Journal(path, plan, owner), **how)


def undone(client, path, owner="dag/undo/apply", **how):
    """Apply the reverse of a saved plan."""
    return applied(client, path.with_name(path.name.replace(".json", ".undo.json")), owner, **how)
