"""What templates render by mistake is refused before anything is sent."""

import json

import jinja2
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException
from sandbox_client import calls

from intacct_provider.client.query import field
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.records import (
    IntacctCreateRecordOperator,
    IntacctDeleteRecordOperator,
    IntacctGetRecordOperator,
    IntacctUpdateRecordOperator,
)
from intacct_provider.operators.sync import IntacctPlanSyncOperator, IntacctSyncOperator
from intacct_provider.operators.sync_apply import IntacctApplySyncOperator
from intacct_provider.sensors.jobs import IntacctBulkJobSensor
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
LIST = "[{'id': 'SECRET-1', 'name': 'Acme'}]"


@pytest.fixture
def airflow(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    return sandbox


def refuse(operator):
    with pytest.raises((AirflowFailException, IntacctArgumentError)) as caught:
        operator.execute({})
    return str(caught.value)


def make_all(**name):
    yield IntacctGetRecordOperator(task_id="a", object_name=CUSTOMER, **name)
    yield IntacctUpdateRecordOperator(task_id="b", object_name=CUSTOMER, changes={"name": "x"}, **name)
    yield IntacctDeleteRecordOperator(task_id="c", object_name=CUSTOMER, **name)


@pytest.mark.parametrize(
    "name",
    [
        {"record_id": "None"},
        {"record_id": " "},
        {"record_id": ""},
        {"record_id": "\n"},
        {"key": "None"},
        {"key": "C-100"},
        {"key": "1.0"},
        {"key": " 24"},
        {"key": "24\n"},
        {"key": ""},
        {"key": "None", "record_id": "C-1"},
        {"record_id": "nan"},
        {"record_id": "NaT"},
        {"record_id": "<NA>"},
        {"record_id": "null"},
        {"record_id": "[]"},
        {"record_id": " {}\n"},
        {"record_id": "['C-1']"},
        {"record_id": '{"id": "C-1"}'},
        {"record_id": ["C-1"]},
        {"record_id": {"id": "C-1"}},
        {"record_id": True},
    ],
)
def test_what_a_template_rendered_to_nothing_names_no_record(airflow, name):
    for operator in make_all(**name):
        assert "key" in refuse(operator) or "record_id" in refuse(operator)
    sensor = IntacctRecordSensor(task_id="s", object_name=CUSTOMER, **name)
    with pytest.raises(IntacctArgumentError):
        sensor.condition()
    assert calls(airflow, "/objects") == calls(airflow, "/services/core/query") == []


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "None"},
        {"id": ""},
        {"term": {"id": "None"}},
        {"term.id": " "},
        {"members": [{"key": "None"}]},
        {"id": "[]"},
        {"term": {"id": "['Net 30']"}},
    ],
)
def test_ids_in_records_that_rendered_to_nothing_are_refused(airflow, fields):
    record = {"name": "x", **fields}
    for operator in (
        IntacctCreateRecordOperator(task_id="a", object_name=CUSTOMER, record=record),
        IntacctUpdateRecordOperator(task_id="b", object_name=CUSTOMER, key="1", changes=record),
    ):
        told = refuse(operator)
        assert "rendered to nothing" in told or "is the text of a list" in told
    assert calls(airflow, "/objects") == []


@pytest.mark.parametrize(
    "text", [LIST, LIST.replace("'", '"'), "\n [\n]", "{'id': 'SECRET-1'}", "({'id': 'SECRET-1'},)",
     "[OrderedDict([('id', 'SECRET-1')])]", "OrderedDict([('id', 'SECRET-1')])", "deque([{'id': 'SECRET-1'}])",
     "dict_values([{'id': 'SECRET-1'}])", "<generator object SECRET>", "LazyXComSequence(SECRET)",
     '"[{\\"id\\": \\"SECRET-1\\"}]"', "set()"]
)  # fmt: skip
def test_a_list_that_a_template_made_into_text_is_recognized(airflow, text):
    for operator in (
        IntacctPlanSyncOperator(task_id="p", object_name=CUSTOMER, desired=text, plan_path=None),
        IntacctCreateRecordOperator(task_id="a", object_name=CUSTOMER, record=text),
        IntacctUpdateRecordOperator(task_id="b", object_name=CUSTOMER, key="1", changes=text),
    ):
        message = refuse(operator)
        assert "render_template_as_native_obj=True" in message
        assert ".output" in message
        assert "SECRET" not in message


@pytest.mark.parametrize(
    "text",
    ["id,name\nSECRET-1,x", "- id: SECRET-1", "   id\n0  SECRET-1", "SECRET-1", "id,name\nSECRET-1,x.csv"],
)
def test_text_that_is_not_a_path_is_not_repeated(airflow, text):
    message = refuse(IntacctPlanSyncOperator(task_id="p", object_name=CUSTOMER, desired=text, plan_path=None))
    assert "is not the path of a file" in message
    assert "desired=upstream.output" in message
    assert "SECRET" not in message


@pytest.mark.parametrize("name", ["[2026] groups.csv", "groups(1).csv", "(old).csv", "{x}.csv"])
def test_names_of_files_are_not_taken_for_lists(airflow, tmp_path, name):
    (tmp_path / name).write_text("id,name\nC-1,x\n")
    for desired in (f"{tmp_path}/{name}", name):
        operator = IntacctPlanSyncOperator(task_id="p", object_name=CUSTOMER, desired=desired, plan_path=None)
        if desired == name:
            assert "cannot be read" in refuse(operator)
        else:
            assert operator.execute({})["to_create"] == 1


def test_ids_that_look_like_lists_are_ids(airflow):
    airflow.seed(CUSTOMER, [{"id": "(OLD)", "name": "x"}])
    operator = IntacctGetRecordOperator(task_id="a", object_name=CUSTOMER, record_id="(OLD)")
    assert operator.execute({})["name"] == "x"


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("None", "rendered to nothing"),
        ("", "rendered to nothing"),
        ("nosuch://b/x.json", "storage"),
        ("plans/groups.plan.json", "is a relative path, which each worker would understand differently"),
        ("file:groups.plan.json", "relative path"),
        ("plans/", "must be the path or URI of a file"),
        ("https://example.com/groups.plan.json", "https only reads"),
    ],
)
@pytest.mark.parametrize("operator", [IntacctPlanSyncOperator, IntacctSyncOperator])
def test_a_plan_path_that_cannot_be_one_is_refused_before_anything_is_sent(airflow, path, part, operator):
    message = refuse(operator(task_id="p", object_name=CUSTOMER, desired=[{"id": "A"}], plan_path=path))
    assert "plan_path" in message
    assert part in message
    assert airflow.transactions == 0


@pytest.mark.parametrize(
    "plan",
    ["plans/groups.plan.json", {"plan": "groups.plan.json", "sha256": "0" * 64}],
    ids=["path", "result"],
)
def test_a_plan_in_a_relative_place_is_refused_before_anything_is_sent(airflow, plan):
    message = refuse(IntacctApplySyncOperator(task_id="a", plan=plan))
    assert "plan" in message
    assert "is a relative path" in message
    assert airflow.transactions == 0


def test_desired_that_rendered_to_nothing_is_said(airflow):
    operator = IntacctPlanSyncOperator(task_id="p", object_name=CUSTOMER, desired="None", plan_path=None)
    assert "desired is 'None', so its template rendered to nothing" in refuse(operator)


@pytest.mark.parametrize(
    "text",
    ["SELECT id FROM finance.sql", "with a as (select 1) select * from b.sql", "-- x\nselect 1 from c.sql"],
)
def test_sql_that_ends_like_a_file_is_no_file(text):
    operator = IntacctPlanSyncOperator(
        task_id="p", object_name=CUSTOMER, desired_sql=text, sql_conn_id="db", plan_path=None
    )
    operator.resolve_template_files()
    operator.render_template_fields({})
    assert operator.desired_sql.strip() == text


def test_a_path_that_ends_in_sql_is_a_file(tmp_path):
    (tmp_path / "customers.sql").write_text("SELECT {{ 1 + 1 }}")
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path), autoescape=True)
    operator = IntacctPlanSyncOperator(
        task_id="p", object_name=CUSTOMER, desired_sql="customers.sql", sql_conn_id="db", plan_path=None
    )
    operator.render_template_fields({}, environment)
    assert operator.desired_sql == "SELECT 2"


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1 AS id; SELECT 2 AS id", 2),
        ("DELETE FROM a; SELECT 1 AS id;", 2),
        ("-- only a comment", 0),
        ("CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\nSELECT * FROM a;\n", 3),
    ],
)
def test_several_sql_statements_are_counted(airflow, monkeypatch, tmp_path, sql, count):
    monkeypatch.setenv("AIRFLOW_CONN_DB", f"sqlite:///{tmp_path}/db.sqlite")
    operator = IntacctPlanSyncOperator(
        task_id="p", object_name=CUSTOMER, desired_sql=sql, sql_conn_id="db", plan_path=None
    )
    assert f"desired_sql has {count} SQL statements" in refuse(operator)


def test_refused_credentials_name_the_connection(sandbox, monkeypatch):
    connection = json.loads(sandbox.connection())
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({**connection, "password": "wrong"}))
    operator = IntacctGetRecordOperator(task_id="g", object_name=CUSTOMER, key="1", intacct_conn_id="other")
    assert refuse(operator).endswith("(connection 'other')")


def test_templates_in_expressions_of_scope_and_protection_are_rendered(airflow):
    airflow.seed(
        GROUP, [{"id": f"{name}", "name": name, "groupType": "all"} for name in ("A-1", "A-2", "A-3", "B-1")]
    )
    operator = IntacctPlanSyncOperator(
        task_id="t",
        object_name=GROUP,
        plan_path=None,
        desired=[{"id": "A-1", "name": "A-1"}],
        mode="mirror",
        scope=field("id").startswith("{{ params.prefix }}") | (field("id") == "{{ params.one }}"),
        protect=field("id").in_(["{{ params.kept }}"]),
    )
    operator.render_template_fields({"params": {"prefix": "A-", "one": "B-1", "kept": "A-2"}})
    result = operator.execute({})
    assert (result["to_delete"], result["protected"]) == (2, 1)


@pytest.mark.parametrize("argument", ["scope", "protect"])
def test_airflow_can_ask_each_templated_field_for_its_truth_value(argument):
    """It does so before it renders them, and logs what has none."""
    expression = (field("id") == "A") | (field("name") == "B")
    for one in (IntacctPlanSyncOperator, IntacctSyncOperator):
        operator = one(task_id="t", object_name=GROUP, plan_path=None, desired=[], **{argument: expression})
        assert all(bool(getattr(operator, name)) in (True, False) for name in operator.template_fields)


def render(operator, value=None, native=True):
    """Render an operator's templates as a worker does."""
    with DAG("rendered", schedule=None, render_template_as_native_obj=native) as dag:
        dag.add_task(operator)
        operator.render_template_fields({"value": value}, dag.get_template_env(force_sandboxed=False))
    return operator


MISSING = "{{ value }}"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (IntacctQuerySensor, {"at_least": MISSING}),
        (IntacctQuerySensor, {"filters": MISSING}),
        (IntacctQuerySensor, {"filters": [{"$eq": {"status": MISSING}}]}),
        (IntacctQuerySensor, {"aggregate": MISSING, "at_most": "250000.00"}),
        (IntacctQuerySensor, {"entity_id": MISSING}),
        (IntacctRecordSensor, {"key": "1", "conditions": MISSING}),
        (IntacctCreateRecordOperator, {"record": {"id": "C-1", "name": "x", "taxId": MISSING}}),
        (IntacctUpdateRecordOperator, {"key": "1", "changes": {"term": {"id": MISSING}}}),
        (IntacctQueryOperator, {"fields": ["key"], "filters": MISSING}),
    ],
)
def test_a_value_that_rendered_to_none_is_not_one_that_is_not_given(kind, arguments):
    operator = kind(task_id="t", object_name=CUSTOMER, **arguments)
    name = next(iter(arguments.keys() - {"key", "fields", "at_most"}))
    with pytest.raises(
        AirflowFailException, match=rf"t: {name}: '\{{\{{ value \}}\}}' rendered to None\. Check"
    ):
        render(operator)


def test_a_none_that_somebody_wrote_stays_one():
    changes = {"taxId": None, "name": MISSING}
    operator = render(
        IntacctUpdateRecordOperator(task_id="t", object_name=CUSTOMER, key="1", changes=changes), "x"
    )
    assert operator.changes == {"taxId": None, "name": "x"}


def test_ids_that_became_numbers_are_texts_again(airflow):
    sensor = render(
        IntacctQuerySensor(task_id="t", object_name=CUSTOMER, entity_id=MISSING, at_most=9, timeout=1), "100"
    )
    assert sensor.entity_id == 100
    assert sensor.hook.config.entity_id == "100"
    sensor = render(IntacctBulkJobSensor(task_id="t", job_id=MISSING), "12345")
    assert sensor.build_trigger(intacct_conn_id="a", poll_interval=60).job_id == "12345"
    for operator in make_all(record_id=MISSING):
        assert "not 1000.0: Airflow's render_template_as_native_obj" in refuse(render(operator, "1e3"))
    with pytest.raises(IntacctArgumentError, match=r"entity_id must be text, not 1\.5"):
        _ = IntacctHook(entity_id=1.5).config
