"""Whatever is live and whatever is desired: applied it is so, a second plan is empty, and the undo takes it back.

Random records over real HTTP. What is live is read back from the sandbox's own memory of records, record by record, and
compared here, not by the code that plans.
"""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sandbox_client import InterruptedClient, client_of, running
from sync_work import applied, planned, saved, undone

from intacct_provider.client.query.expressions import field
from intacct_provider.sync.plan import MODES

pytestmark = pytest.mark.slow

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
TERRITORY = "accounts-receivable/territory"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"

#: Ids that something could trip over: commas, slashes, spaces, quotes, other scripts, what looks like a number.
IDS = ["A, B", "a/b", "It's 1 & 2", "Ünïcode", "日本", "007", '"q"', "x" * 20]
PROPERTY = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

texts = st.sampled_from(["one", "two", "10", "10.00", "  x", "ß, ö"])


def optional(**fields):
    """Return records in which each field may be missing, for both sides of a sync."""
    return st.fixed_dictionaries({}, optional=fields)


def states(record, ids=IDS, least=0):
    """Return some records by id, every id at most once."""
    return st.dictionaries(st.sampled_from(ids), record, min_size=least, max_size=5)


@pytest.fixture
def company():
    """A company with three customers, two territories and two purposes to refer to."""
    with running() as sandbox, client_of(sandbox) as client:
        client.create_many(CUSTOMER, [{"id": f"C-{n}", "name": f"Customer {n}"} for n in range(3)])
        client.create_many(PURPOSE, [{"id": "P-1"}, {"id": "P-2"}])
        client.create_many(TERRITORY, [{"id": "North"}, {"id": "South"}])
        yield sandbox, client


def snapshot(sandbox, object_name):
    """Return all records by id as they are, but for keys and history, which a record made again has not kept."""
    return {
        record["id"]: {"name": record.get("name"), **bare(record)} for record in sandbox.records(object_name)
    }


def differing(one, other):
    """Return the records, or what of them is not the same, with both values."""
    pairs = [(name, one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())]
    return [
        (
            name,
            {path: (a.get(path), b.get(path)) for path in a | b if a.get(path) != b.get(path)}
            if a and b
            else (a, b),
        )
        for name, a, b in pairs
        if a != b
    ]


def bare(value):
    """Return a value without what is Intacct's, such as keys and names of what is referred to, and what is blank."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    own = {"key", "href", "audit", "webURL"} | ({"name"} if "id" in value else set())
    own |= {"id"} if "glAccountGroup" in value and "audit" in value else set()
    return {
        name: bare(item) for name, item in value.items() if name not in own and item not in (None, "", [])
    }


def agrees(wanted, found):
    """Return whether a record is as wanted, as far as that says; null is an empty text, list or reference."""
    if wanted in (None, "", []):
        return not found or (isinstance(found, dict) and not any(found.values()))
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            same_conditions(value, found.get(name)) if name == "filters" else agrees(value, found.get(name))
            for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(wanted) == len(found)
        return same and all(agrees(one, other) for one, other in zip(wanted, found, strict=True))
    return wanted == found


def same_conditions(wanted, found):
    """Return whether two filters whose conditions are joined by "and" select the same."""
    return sorted(map(str, wanted)) == sorted(map(str, found or []))


def check(company, object_name, before, desired, mode):
    """Make the records of an object those of ``before``, then check a sync."""
    fill(*company, object_name, before)
    check_live(company, object_name, desired, mode)


def fill(sandbox, client, object_name, before):
    """Make the records of an object those of ``before``."""
    with sandbox.store.transaction() as conn:
        conn.execute(f'DELETE FROM "{object_name}"')  # noqa: S608
    results = client.create_many(object_name, [{"id": name, **record} for name, record in before.items()])
    assert [str(result.error) for result in results if not result.ok] == []


def check_live(company, object_name, desired, mode):
    """Plan, apply, plan again, undo; look at the live records after each."""
    sandbox, client = company
    first = snapshot(sandbox, object_name)
    wanted = [{"id": name, **record} for name, record in desired.items()]
    plan = planned(client, object_name, wanted, mode=mode)
    with tempfile.TemporaryDirectory() as folder:
        path = saved(plan, Path(folder))
        outcome = applied(client, path)
        assert [str(reject.error) for reject in outcome.rejects] == []
        after = snapshot(sandbox, object_name)
        check_after(first, after, desired, mode)
        again = planned(client, object_name, wanted, mode=mode)
        assert [(step.action, step.match, step.changes) for step in again.steps] == []
        assert again.live == len(after)
        if not plan.is_empty:
            undoing = undone(client, path)
            assert [str(reject.error) for reject in undoing.rejects] == []
        assert differing(snapshot(sandbox, object_name), first) == []


def check_after(first, after, desired, mode):
    """Make sure that each record is there or not, and as it should be."""
    expected = {
        "create": first.keys() | desired.keys(),
        "update": first.keys(),
        "upsert": first.keys() | desired.keys(),
        "mirror": desired.keys(),
    }
    assert after.keys() == set(expected[mode])
    for name, record in after.items():
        wanted = name in desired and not (mode == "create" and name in first)
        fine = agrees(desired[name], record) if wanted else record == first[name]
        assert fine, (desired.get(name), record)


members = st.lists(st.sampled_from(["C-0", "C-1", "C-2"]), unique=True).map(
    lambda ids: [{"id": one} for one in ids]
)
conditions = st.lists(
    st.sampled_from([{"$eq": {"status": "active"}}, {"$gt": {"totalDue": "1000"}}, {"$ne": {"id": "X"}}]),
    min_size=1, max_size=3, unique_by=str,
)  # fmt: skip
GROUPS = optional(
    description=texts | st.none(),
    isDimensionStructure=st.booleans(),
    groupType=st.sampled_from(["all", "specific"]),
)
LISTED_GROUPS = optional(
    description=texts | st.none(),
    groupMembers=members,
    memberFilter=conditions.map(
        lambda some: {"object": CUSTOMER, "filters": some, "filterExpression": "and"}
    ),
)


def named(records):
    """Return records that can be created: with a name."""
    return records.flatmap(lambda record: texts.map(lambda name: {"name": name.strip(), **record}))


@PROPERTY
@given(before=states(named(GROUPS)), desired=states(named(GROUPS), least=1), mode=st.sampled_from(MODES))
def test_customer_groups_of_flat_fields(company, before, desired, mode):
    check(company, CUSTOMER_GROUP, before, desired, mode)


@PROPERTY
@given(
    before=states(named(LISTED_GROUPS)),
    desired=states(named(LISTED_GROUPS), least=1),
    mode=st.sampled_from(MODES),
)
def test_customer_groups_with_members_and_filters(company, before, desired, mode):
    check(company, CUSTOMER_GROUP, before, desired, mode)


PURPOSES = optional(status=st.sampled_from(["active", "inactive"]))


@PROPERTY
@given(before=states(PURPOSES), desired=states(PURPOSES, least=1), mode=st.sampled_from(MODES))
def test_purposes(company, before, desired, mode):
    check(company, PURPOSE, before, desired, mode)


@PROPERTY
@given(
    before=states(PURPOSES), desired=states(PURPOSES, least=1), ours=st.sets(st.sampled_from(IDS), min_size=1)
)
def test_a_mirror_deactivates_what_is_ours_and_not_desired(company, before, desired, ours):
    desired = {name: one for name, one in desired.items() if name in ours or name not in before}
    assume(desired)
    sandbox, client = company
    fill(sandbox, client, PURPOSE, before)
    first = snapshot(sandbox, PURPOSE)
    wanted = [{"id": name, **record} for name, record in desired.items()]
    how = {
        "mode": "mirror",
        "scope": field("id").in_(sorted(ours | desired.keys())),
        "on_delete": "deactivate",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = saved(planned(client, PURPOSE, wanted, **how), Path(folder))
        applied(client, path)
        gone = {name: {**first[name], "status": "inactive"} for name in ours & first.keys() - desired.keys()}
        expected = {**first, **gone}
        after = snapshot(sandbox, PURPOSE)
        assert after.keys() == first.keys() | desired.keys()
        for name, record in after.items():
            assert agrees(desired[name], record) if name in desired else record == expected[name]
        assert planned(client, PURPOSE, wanted, **how).is_empty
        if path.with_name("groups.plan.undo.json").exists():
            undone(client, path)
        assert differing(snapshot(sandbox, PURPOSE), first) == []


TERRITORIES = st.sampled_from([{"id": "North"}, {"id": "South"}, None])
CUSTOMERS = optional(
    creditLimit=st.none() | st.integers(0, 10**9),
    notes=texts | st.none(),
    isOnHold=st.booleans(),
    status=st.sampled_from(["active", "inactive"]),
    territory=TERRITORIES,
    contacts=st.fixed_dictionaries(
        {"default": optional(companyName=texts | st.none(), email1=st.just("a@b.example"))}
    ),
)


@st.composite
def families(draw, least=0):
    """Return customers by id, whose parents are customers of the same state with a lower id."""
    found = {}
    for name in sorted(draw(st.sets(st.sampled_from(IDS), min_size=least, max_size=5))):
        parent = draw(st.sampled_from([None, *found]))
        found[name] = {**draw(named(CUSTOMERS)), "parent": {"id": parent} if parent else None}
    return found


def creatable(records):
    """Return records without the references that they clear, which Intacct refuses in a creation."""
    return {name: {k: v for k, v in one.items() if v is not None} for name, one in records.items()}


def generations(sandbox, client, object_name, records):
    """Create customers one by one, parents first, since they have to exist."""
    with sandbox.store.transaction() as conn:
        conn.execute(f'DELETE FROM "{object_name}"')  # noqa: S608
    for name, record in sorted(records.items()):
        client.create(object_name, {"id": name, **record})


@PROPERTY
@given(before=families(), desired=families(least=1), mode=st.sampled_from(MODES))
def test_customers_with_parents(company, before, desired, mode):
    sandbox, client = company
    if mode == "update":  # which creates no missing parents
        desired = {
            name: one for name, one in desired.items() if not one["parent"] or one["parent"]["id"] in before
        }
        assume(desired)
    generations(sandbox, client, CUSTOMER, creatable(before))
    check_live(company, CUSTOMER, desired, mode)


KINDS = dict(zip(IDS, ["accounts", "groups", "accounts", "groups"] * 2, strict=True))


@st.composite
def account_groups(draw, least=0):
    """Return account groups by id: ranges of accounts, or groups of the ones with a lower id."""
    found = {}
    for name in sorted(draw(st.sets(st.sampled_from(IDS), min_size=least, max_size=5))):
        record = {"groupType": KINDS[name], **draw(optional(title=texts | st.none(), isKPI=st.booleans()))}
        if KINDS[name] == "accounts":
            ranges = draw(st.lists(st.sampled_from(["1000", "2000", "3000"]), max_size=3))
            record["accountRanges"] = [{"rangeFrom": one, "rangeTo": f"{one[0]}999"} for one in ranges]
        else:
            groups = draw(st.lists(st.sampled_from(sorted(found)), unique=True)) if found else []
            record["accountGroupMembers"] = [{"accountGroup": {"id": one}} for one in groups]
        found[name] = {**record, "accountGroupPurpose": {"id": draw(st.sampled_from(["P-1", "P-2"]))}}
    return found


def members_of(group):
    return {member["accountGroup"]["id"] for member in group.get("accountGroupMembers", ())}


@PROPERTY
@given(before=account_groups(), desired=account_groups(least=1), mode=st.sampled_from(MODES))
def test_account_groups_that_list_each_other(company, before, desired, mode):
    sandbox, client = company
    if mode == "update":
        lacking = {name for name, one in desired.items() if not members_of(one) <= before.keys()}
        desired = {name: one for name, one in desired.items() if name not in lacking}
        assume(desired)
    generations(sandbox, client, ACCOUNT_GROUP, before)
    check_live(company, ACCOUNT_GROUP, desired, mode)


class CutError(BaseException):
    """The process ends here."""


@st.composite
def families(draw):
    """Return customers by id, each with a name and perhaps one before it as its parent."""
    found = {}
    for name in draw(st.lists(st.sampled_from("ABCDE"), unique=True, min_size=1, max_size=5)):
        parent = draw(st.sampled_from([None, *found]))
        found[name] = {"name": draw(texts).strip(), "parent": {"id": parent} if parent else None}
    return found


def cut_and_undo(sandbox, object_name, desired, cut):
    """Apply a mirror that ends after some call, undo it, and return what differs from before."""
    first, calls = snapshot(sandbox, object_name), []

    def happen():
        calls.append(1)
        if len(calls) > cut:
            raise CutError

    wanted = [{"id": name, **record} for name, record in desired.items()]
    with tempfile.TemporaryDirectory() as folder, client_of(sandbox) as client:
        path = saved(planned(client, object_name, wanted, mode="mirror"), Path(folder))
        with (
            InterruptedClient(sandbox, happen, concerns=lambda request: "token" not in request.path) as dying,
            suppress(CutError),
        ):
            applied(dying, path)
        if path.with_name(path.name.replace(".json", ".undo.json")).exists():
            undoing = undone(client, path)
            assert [str(reject.error) for reject in undoing.rejects] == []
    return differing(snapshot(sandbox, object_name), first)


@settings(PROPERTY, max_examples=40)
@given(before=families(), desired=families(), cut=st.integers(0, 14))
def test_an_undo_of_a_mirror_that_was_cut_anywhere_restores_parents_and_children(before, desired, cut):
    with running() as sandbox, client_of(sandbox) as client:
        for name, record in before.items():
            client.create(CUSTOMER, {"id": name, **{k: v for k, v in record.items() if v}})
        assert cut_and_undo(sandbox, CUSTOMER, desired, cut) == []


@settings(PROPERTY, max_examples=40)
@given(
    before=states(named(LISTED_GROUPS)),
    desired=states(named(LISTED_GROUPS), least=1),
    cut=st.integers(0, 10),
)
def test_an_undo_of_a_mirror_that_was_cut_anywhere_restores_members(company, before, desired, cut):
    fill(*company, CUSTOMER_GROUP, before)
    assert cut_and_undo(company[0], CUSTOMER_GROUP, desired, cut) == []
