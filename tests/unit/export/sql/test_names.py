"""Every field gets a column of its own, whatever databases make of case, dots and length; the same one each time."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.sql.databases import find_dialect
from intacct_provider.export.sql.names import name_for_sql

SQLITE, POSTGRES, STANDARD = (
    find_dialect(SimpleNamespace(conn_type=kind)) for kind in ("sqlite", "postgres", "x")
)
words = st.sampled_from(
    ["a", "A", "a.b", "a_b", "A.B", "a_b_2", "a_2", "x" * 63, "X" * 63, "x" * 70, "ä" * 40, "nsp::f", "nsp__f", "ctid",
     "xmin", "1st", "key"]
)  # fmt: skip


def names_of(*fields, dialect=SQLITE, existing=()):
    columns = [Column(name, name, "string") for name in fields]
    return {column.field: column.name for column in name_for_sql(columns, dialect, existing)}


def test_dots_become_underscores_and_names_that_were_given_stay():
    assert names_of("key", "audit.modifiedDateTime") == {
        "key": "key", "audit.modifiedDateTime": "audit_modifiedDateTime",
    }  # fmt: skip
    assert name_for_sql([Column("as.is", "a.b", "string")], SQLITE)[0].name == "as.is"


def test_fields_that_would_have_the_same_column_get_a_number():
    named = {"accountLabel": "accountLabel", "accountlabel": "accountlabel_2", "a.b": "a_b", "a_b": "a_b_2"}
    assert names_of(*named) == named
    assert names_of(*reversed(named)) == named


def test_a_column_of_the_table_stays_with_its_field():
    """A field that Sage adds must not get the column of another one."""
    existing = ["key", "accountlabel"]
    assert names_of("accountLabel", "accountlabel", existing=existing) == {
        "accountLabel": "accountLabel_2", "accountlabel": "accountlabel",
    }  # fmt: skip
    both = {"accountLabel": "accountLabel", "accountlabel": "accountlabel"}
    assert names_of(*both, existing=[*both]) == both


def test_a_given_name_goes_before_that_of_a_field():
    columns = [Column("id", "id", "string"), Column("ID", "number", "string")]
    assert [column.name for column in name_for_sql(columns, SQLITE)] == ["id_2", "ID"]
    with pytest.raises(IntacctArgumentError, match="'number' and 'code' would both be column 'id'"):
        name_for_sql([Column("ID", "number", "string"), Column("id", "code", "string")], SQLITE)


def test_columns_that_every_table_has():
    assert names_of("ctid", "xmin", dialect=POSTGRES) == {"ctid": "ctid_2", "xmin": "xmin_2"}
    assert names_of("ctid", dialect=SQLITE) == {"ctid": "ctid"}
    with pytest.raises(
        IntacctArgumentError, match="names the column of 'name' 'ctid', which every table has"
    ):
        name_for_sql([Column("ctid", "name", "string")], POSTGRES)


def test_sqlite_treats_true_and_false_as_values_even_in_quotes():
    assert names_of("true", "False") == {"true": "c_true", "False": "c_False"}
    assert names_of("true", dialect=POSTGRES) == {"true": "true"}


def test_long_names_are_shortened_and_stay_different():
    one, other = "x" * 70 + ".id", "x" * 70 + ".key"
    names = names_of(one, other, dialect=POSTGRES)
    assert len(set(names.values())) == 2
    assert all(len(name.encode()) <= 63 and name.startswith("x" * 54) for name in names.values())
    assert names_of(one, dialect=POSTGRES)[one] == names[one]


def test_what_a_database_of_the_standard_does_not_take_becomes_underscores():
    assert names_of("nsp::field", "1st", dialect=STANDARD) == {"nsp::field": "nsp__field", "1st": "c_1st"}


@given(st.lists(words, unique=True), st.sampled_from([SQLITE, POSTGRES, STANDARD]), st.lists(words))
def test_every_field_has_one_column_that_the_database_takes(fields, dialect, existing):
    names = names_of(*fields, dialect=dialect, existing=existing)
    assert names == names_of(*sorted(fields), dialect=dialect, existing=existing)
    assert len(set(names.values())) == len(fields)
    new = [name for name in names.values() if name not in existing]
    assert len({name.casefold() for name in new}) == len(new)
    for name in new:
        dialect.quote(name)
    if new:
        with closing(sqlite3.connect(":memory:")) as conn:
            conn.execute(f"CREATE TABLE t ({', '.join(map(SQLITE.quote, new))})")
