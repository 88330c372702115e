"""The connection form as Airflow 3.1 wants it, from the metadata that later releases read by themselves.

Airflow 3.1 asks the hook for widgets of Flask AppBuilder and WTForms, and stands in for them where they are missing.
"""

from __future__ import annotations

from typing import Any

from intacct_provider.get_provider_info import get_provider_info


def build_widgets() -> dict[str, Any]:
    """Return a widget for each extra."""
    return {name: _build_widget(field) for name, field in _read_metadata()["conn-fields"].items()}


def build_field_behaviour() -> dict[str, Any]:
    """Return what the fields that every connection has are called."""
    behaviour = _read_metadata()["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behaviour.items()}


def _read_metadata() -> dict[str, Any]:
    return dict(get_provider_info()["connection-types"][0])


def _build_widget(field: dict[str, Any]) -> Any:
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import IntegerField, PasswordField, StringField
    from wtforms.validators import Optional, any_of

    schema = field["schema"]
    kind, default, is_secret = schema["type"][0], schema.get("default"), schema.get("format") == "password"
    text = PasswordField if is_secret else StringField
    if kind == "number" and default is not None:
        default = str(default)  # a number with decimals has no widget, and is read from text as well
    return (IntegerField if kind == "integer" else text)(
        field["label"],
        validators=[Optional(), *([any_of(schema["enum"])] if "enum" in schema else [])],
        description=field["description"],
        default=default,
        widget=BS3PasswordFieldWidget() if is_secret else BS3TextFieldWidget(),
    )
