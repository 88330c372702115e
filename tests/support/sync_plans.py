"""Plans to look at: one with everything in it, and the shortest way to others."""

from __future__ import annotations

from dataclasses import replace

from intacct_provider.sync.plan import FieldChange, Plan, Step

GROUP = "accounts-receivable/customer-group"
EMPTY = Plan(
    object_name=GROUP,
    entity_id=None,
    mode="upsert",
    match_on="id",
    steps=(),
    desired=3,
    live=3,
    unchanged=3,
    left_alone=0,
    protected=0,
    transactions=0,
    fields=("key", "id", "name"),
    full_records=False,
)


def fields(**values):
    """Return changes of fields, each given as a pair of what it is and what it becomes; ``__`` is a dot."""
    return tuple(FieldChange(path.replace("__", "."), old, new) for path, (old, new) in values.items())


def create(match, **values):
    given = {"id": match, **values}
    return Step(
        "create", match, reason="not in Intacct", changes=fields(**{k: (None, v) for k, v in given.items()})
    )


def update(match, key="7", **values):
    return Step("update", match, key, "fields differ", fields(**values), fingerprint="f")


def delete(match, key="8", **values):
    return Step("delete", match, key, "not desired", fields(**{k: (v, None) for k, v in values.items()}))


def deactivate(match, key="9"):
    return Step("deactivate", match, key, "not desired", fields(status=("active", "inactive")))


def plan(*steps, **values):
    """Return a plan with these steps; all else is of a plan that does nothing."""
    return replace(EMPTY, **{"steps": steps, "transactions": len(steps), **values})


def members(*names):
    return [{"id": name} for name in names]


def rich():
    """Return a plan with each action."""
    return plan(
        create("NET-30", name="Education on Net 30", groupType="all"),
        update(
            "KEY",
            name=("Key acounts", "Key accounts"),
            groupMembers=(members("C-1", "C-2", "C-3"), members("C-2", "C-1", "C-4", "C-9")),
        ),
        deactivate("OLD"),
        delete("GONE", name="Gone & away", groupType="specific"),
        mode="mirror",
        entity_id="10",
        company_id="ACME",
        source="groups.csv",
        origin="groups/manual/plan/0",
        unchanged=1200,
        protected=2,
        transactions=6,
    )
