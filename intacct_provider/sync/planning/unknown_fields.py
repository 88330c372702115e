"""Desired fields that no record of the object has, according to its model and to the live records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from intacct_provider.client.spelling import ALMOST_EQUAL, find_nearest
from intacct_provider.sync.object_facts import collect_types
from intacct_provider.sync.problems import Problem, show_value

if TYPE_CHECKING:
    from intacct_provider.sync.desired.state import Desired

#: Names of the XML API and of its import templates that no rule leads to a field of the REST API.
_XML_NAMES = {
    "recordno": "key",
    "custname": "name",
    "custtype": "customerType.id",
    "custrepid": "salesRepresentative.id",
    "vendname": "name",
    "vendtype": "vendorType.id",
    "whencreated": "audit.createdDateTime",
    "whenmodified": "audit.modifiedDateTime",
    "accountno": "id",
    "title": "name",
    "comments": "notes",
    "resaleno": "resaleNumber",
    "glaccountno": "defaultRevenueGLAccount.id",
    "offsetglaccountno": "overrideOffsetGLAccount.id",
    "vsoepricelist": "priceList.id",
    "supdocid": "attachment.id",
    "custmessageid": "customerMessage.id",
    "arinvoiceprinttemplateid": "printTemplates.arInvoice.id",
    "primarycontact": "contacts.primary.id",
    "billto": "contacts.billTo.id",
    "shipto": "contacts.shipTo.id",
}
#: How names of its groups begin, without dots, and what stands for it in the REST API; the longest first.
_XML_GROUPS = {
    "displaycontactmailaddress": "contacts.default.mailingAddress",
    "displaycontact": "contacts.default",
    "contactinfo": "contacts.primary",
    "billto": "contacts.billTo",
    "shipto": "contacts.shipTo",
}
#: Names within such a group.
_XML_LEAVES = {
    "contactname": "id",
    "address1": "addressLine1",
    "address2": "addressLine2",
    "address3": "addressLine3",
    "zip": "postCode",
    "countrycode": "isoCountryCode",
    "cellphone": "mobile",
    "taxable": "tax.isTaxable",
}


def check_known_fields(
    desired: Desired, unknown: Iterable[str], fetched: int, model: Mapping[str, Any], object_name: str
) -> list[Problem]:
    """Return the fields that neither the model nor any of the whole records that were read has.

    Models leave some fields out, so a field is known if one record has it, or if a query could read it.

    :param unknown: paths of these fields.
    :param fetched: how many whole records were read.
    """
    types = collect_types(model)
    problems = []
    for path in unknown:
        column = desired.column(path)
        near = suggest_field(path, types, object_name)
        guess = (
            f" Did you mean {show_value(near)}? Then give columns={{{column!r}: {near!r}}}." if near else ""
        )
        text = (
            f"is not a field of {object_name}: neither its model nor any of the {fetched:,} records that were "
            f"read has it.{guess} To leave it out, give columns={{{column!r}: None}}"
        )
        problems.append(Problem("all records", "", column, "", text))
    return problems


def suggest_field(name: str, paths: Iterable[str], object_name: str) -> str:
    """Return the field that a name of the XML API stands for, or that it is close to; ``""`` if there is none."""
    known = {_simplify(path): path for path in paths if "[]" not in path}
    plain, owner = _simplify(name), _simplify(object_name.rpartition("/")[2])
    own = {f"{owner}id": "id", f"{owner}name": "name", f"{owner}key": "key"}
    stem = re.sub(r"(id|name|key|no)$", "", plain)
    group = next((one for one in _XML_GROUPS if plain.startswith(one)), "")
    leaf = plain.removeprefix(group)
    names = (
        plain,
        _simplify(own.get(plain, "")),
        _simplify(_XML_NAMES.get(plain, "")),
        _simplify(f"{_XML_GROUPS.get(group, '')}{_XML_LEAVES.get(leaf, leaf)}"),
        f"is{plain}",
        f"{plain}id",
    )
    for one in (*names, f"{stem}key" if plain.endswith("key") else f"{stem}id"):
        if one in known:
            return known[one]
    return known.get(find_nearest(plain, known, ALMOST_EQUAL) or "", "")


def _simplify(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
