"""What of a model is kept."""

from intacct_provider.capture.shape import extract_shape

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
