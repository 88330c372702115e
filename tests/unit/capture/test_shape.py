"""What of a model is kept."""

from contextlib import closing
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.capture.company_document import FORMAT
from intacct_provider.capture.shape import extract_shape
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.objects.catalog import build_catalog
from intacct_provider.sandbox.objects.company_file import load
from intacct_provider.sandbox.query.service import run_query
from intacct_provider.sandbox.seed.generated import generate
from intacct_provider.sandbox.store import Store

FIELD = {"type": "string", "readOnly": False, "nullable": True, "mutable": True, "required": False}


def test_the_structure_of_a_model_is_kept_and_everything_else_is_left_out():
    owner = {"apiObject": "a/b", "isOwner": True, "fields": {"key": FIELD}}
    group = {"fields": {"x": FIELD | {"deprecated": True}}, "refs": {"r": owner}}
    model = {
        "apiObject": "objects/platform-apps/nsp::thing",
        "type": "rootObject",
        "httpMethods": "OPTIONS,GET",
        "idempotenceSupported": True,
        "fields": {"nsp::SIZE": FIELD | {"enum": [None, "S"], "default": "S"}},
        "groups": {"g": group},
        "refs": {"nsp::r10007": owner},
        "lists": {"lines": {"apiObject": "a/c"}, "tags": {"type": "string"}},
    }
    noisy = {
        **model,
        "href": "/services/core/model?name=x",
        "company": "ACME",
        "fields": {"nsp::SIZE": model["fields"]["nsp::SIZE"] | {"description": "of ACME", "label": "Size"}},
        "groups": {"g": group | {"title": "ACME"}},
        "lists": {name: part | {"href": "/x"} for name, part in model["lists"].items()},
    }
    assert extract_shape(noisy) == model


def test_empty_maps_are_maps_at_the_top_and_left_out_below():
    """So that two captures of the same model are equal, whatever form Intacct sends empty maps in."""
    sent = {"fields": [], "groups": {"g": {"fields": {"x": FIELD}, "lists": []}}, "refs": {}, "lists": []}
    assert extract_shape(sent) == {
        "fields": {},
        "groups": {"g": {"fields": {"x": FIELD}}},
        "refs": {},
        "lists": {},
    }


def test_a_default_that_can_be_data_is_left_out():
    fields = {
        "flag": FIELD | {"type": "boolean", "default": False},
        "choice": FIELD | {"enum": ["a", "b"], "default": "a"},
        "empty": FIELD | {"default": ""},
        "text": FIELD | {"default": "LOC-ACME"},
        "none": FIELD | {"default": "x", "enum": None},
    }
    kept = extract_shape({"fields": fields})["fields"]
    assert {name for name, field in kept.items() if "default" in field} == {"flag", "choice", "empty"}


def test_members_of_a_wrong_kind_are_left_out():
    odd = {
        "type": "string",
        "enum": None,
        "readOnly": "yes",
        "nullable": None,
        "maxLength": "40",
        "format": 1,
    }
    fields = extract_shape({"fields": {"a": odd, "b": {"type": "boolean", "maxLength": True}}})["fields"]
    assert fields == {"a": {"type": "string"}, "b": {"type": "boolean"}}


def test_numbers_with_a_fraction_are_kept():
    field = {"type": "number", "enum": [Decimal("1.5"), 2, None], "default": Decimal("1.5")}
    assert extract_shape({"fields": {"a": field}})["fields"]["a"] == {
        "type": "number",
        "enum": [1.5, 2, None],
        "default": 1.5,
    }


@pytest.mark.parametrize(
    ("model", "kept", "said"),
    [
        (
            {"fields": {"a": {"type": "money"}}},
            {"fields": {"a": {"type": "string"}}},
            "the type of the field 'a'",
        ),
        ({"fields": {"a.b": FIELD}}, {}, "the field 'a.b' is left out, because the sandbox cannot"),
        ({"groups": {"g": {"fields": {'"': FIELD}}}}, {"groups": {"g": {}}}, "the field 'g.\"' is left out"),
        ({"fields": {"": FIELD, " ": FIELD, "a\0b": FIELD}}, {}, "the field '' is left out"),
        (
            {"fields": {"a": FIELD}, "refs": {"a": {"apiObject": "x/y"}}},
            {"refs": {"a": {"apiObject": "x/y"}}},
            "the field 'a' is left out, because it is also a reference",
        ),
    ],
)
def test_what_the_sandbox_cannot_run_is_said(model, kept, said):
    notes = []
    empty = {"fields": {}, "groups": {}, "refs": {}, "lists": {}}
    assert extract_shape(model, notes.append) == empty | kept
    assert notes[0].startswith(said)


def test_a_reference_to_nothing_is_a_group():
    sent = {"refs": {"a": {"apiObject": None, "fields": {"x": FIELD}}, "b": {"fields": {"x": FIELD}}}}
    group = {"fields": {"x": FIELD}}
    assert extract_shape(sent)["groups"] == {"a": group, "b": group}


SESSION = {"entity_key": None, "today": date(2026, 6, 30), "faults": Faults()}
NAMES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "key",
        "id",
        "href",
        "entity",
        "Entity",
        "ID",
        "audit",
        "select",
        "größe",
        "nsp::X",
        "a.b",
        "",
    ]
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.just(Decimal("0.5")),
    st.sampled_from(["", "x", "string", "a/b"]),
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "money", None])
FORMATS = st.sampled_from(["date", "date-time", "decimal-precision-2", "decimal-precision-99", "x", None])
FIELDS = st.fixed_dictionaries(
    {},
    optional={"type": TYPES, "format": FORMATS, "enum": ODD | st.lists(ODD, max_size=3)}
    | dict.fromkeys(
        ("default", "readOnly", "nullable", "mutable", "required", "maxLength", "writeOnly"), ODD
    ),
)
LISTS = st.fixed_dictionaries(
    {}, optional={"apiObject": st.sampled_from(["a/b", "a/c", "x", None]), "type": ODD}
)


def maps(parts):
    """Return what has the four maps, each of which may be missing or of another kind."""
    kinds = {"fields": FIELDS, "lists": LISTS, "groups": parts, "refs": parts}
    return st.fixed_dictionaries(
        {},
        optional={name: st.dictionaries(NAMES, one, max_size=4) | st.just([]) for name, one in kinds.items()}
        | {"apiObject": st.sampled_from(["a/b", "objects/a/c", "a/d", "x", "", None]), "isOwner": ODD},
    )


MODELS = st.recursive(st.just({}), maps, max_leaves=6).flatmap(lambda part: maps(st.just(part)))


@settings(derandomize=True, deadline=None, max_examples=30)
@given(MODELS, MODELS, st.sampled_from(["rootObject", "ownedObject", None]))
def test_every_model_can_be_run_whatever_it_says(one, other, kind):
    """What is captured is a company file, and its objects have tables that can be made."""
    models = {"a/b": one, "a/c": other | {"type": kind}}
    objects = {name: {"count": None, "model": extract_shape(model)} for name, model in models.items()}
    with closing(Store(catalog=build_catalog(load({"format": FORMAT, "objects": objects})))) as store:
        for name in models:
            query = {"object": name, "fields": ["key", "id"]}
            with store.transaction() as conn:
                generate(conn, store.catalog.tables[name], 2)
                assert run_query(conn, query, **SESSION)["ia::result"]
