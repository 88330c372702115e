"""Airflow assets for the objects of an Intacct company: ``intacct://<company>/<application>/<object>``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from airflow.sdk import Asset

from intacct_provider.client.query.request import check_object_name
from intacct_provider.exceptions import IntacctArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

SCHEME = "intacct"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the canonical form of an asset's URI: percent-encoding is normalized, case is kept.

    :raises ValueError: if the URI is not a company, an application and an object. The message says what is wrong.
    """
    company, path = unquote(uri.netloc), unquote(uri.path).strip("/")
    if uri.query or uri.fragment:
        raise _invalid_uri(uri, "it cannot have a query or a fragment.")
    if "@" in uri.netloc or ":" in uri.netloc:
        raise _invalid_uri(uri, "it cannot have a user or a port.")
    if not company.strip():
        raise _invalid_uri(uri, "the company is missing.")
    try:
        check_object_name(path)
    except IntacctArgumentError as err:
        raise _invalid_uri(uri, str(err)) from None
    return uri._replace(netloc=quote(company, safe=""), path=f"/{quote(path, safe='/:')}")


def create_asset(
    *,
    company_id: str,
    object_name: str,
    name: str | None = None,
    extra: dict[str, Any] | None = None,
    watchers: Sequence[Any] = (),
) -> Asset:
    """Create the asset for an object of a company.

    :param company_id: as in the connection; case-sensitive.
    :param object_name: path such as ``accounts-receivable/customer`` or ``platform-apps/nsp::name``.
    :param name: name of the asset; default: its URI.
    :param watchers: each an ``AssetWatcher``, such as one with an
        :class:`~intacct_provider.triggers.changes.IntacctChangeTrigger`.
    :raises ValueError: if the URI does not name an object.
    """
    uri = f"{SCHEME}://{quote(company_id, safe='')}/{quote(object_name, safe='/:')}"
    return Asset(name=name or uri, uri=uri, extra=extra, watchers=list(watchers))


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> OpenLineageDataset:  # noqa: ARG001
    """Return the OpenLineage dataset of an asset, in the namespace ``intacct://<company>``."""
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

    uri = urlsplit(asset.uri)
    return OpenLineageDataset(namespace=f"{SCHEME}://{uri.netloc}", name=unquote(uri.path).lstrip("/"))


def _invalid_uri(uri: SplitResult, why: str) -> ValueError:
    # The part before an @ may contain a password.
    shown = f"//...{uri.path}" if "@" in uri.netloc else f"//{uri.netloc}{uri.path}"
    return ValueError(
        f"Asset URI '{SCHEME}:{shown}' is not in the form {SCHEME}://<company>/<application>/<object>, such as "
        f"{SCHEME}://ACME-prod/accounts-receivable/customer: {why}"
    )
