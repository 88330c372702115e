"""What the provider assumes of Intacct: the one list that the probe answers and docs/assumptions.md is written from.

Ids are stable: reports of different versions are compared by them.
"""

from __future__ import annotations

from dataclasses import dataclass

_SAGE = "Sage's OpenAPI document"
_GUIDE = "Sage's developer guides"
_RECORDED = "recorded traffic of 2026"
_CLIENTS = "published clients of others"
_NOWHERE = "not documented"


@dataclass(frozen=True, slots=True)
class Assumption:
    """One assumption about Intacct.

    :param id: its stable name in reports.
    :param claim: what is assumed.
    :param source: why.
    :param asked: how the probe finds out.
    :param if_holds: what the provider's code does where it holds.
    :param if_not: what it does where it does not hold.
    :param if_unknown: what it does where that is unknown; empty for the same as ``if_holds``.
    :param write: whether finding out needs writes.
    """

    id: str
    claim: str
    source: str
    asked: str
    if_holds: str
    if_not: str
    if_unknown: str = ""
    write: bool = False

    def consequence(self, answer: str) -> str:
        """Return which way the code takes for an answer."""
        if answer == "contradicted":
            return self.if_not
        return self.if_holds if answer == "holds" else self.if_unknown or self.if_holds


ASSUMPTIONS = (
    Assumption(
        "grant-works",
        "The grant of the connection brings an access token for a form-encoded request.",
        f"{_GUIDE}; {_RECORDED}",
        "the first request needs a token",
        "Tokens are requested as a form and renewed before they expire.",
        "No task can connect.",
    ),
    Assumption(
        "entity-header",
        "X-IA-API-Param-Entity is the header that selects an entity.",
        f"{_CLIENTS}; {_GUIDE} spell it in two ways",
        "queries with a nonexistent entity in each spelling; if both are accepted, counts with and without an entity",
        "Each request carries the entity of the connection or the task in this header.",
        "Requests run at the top level although an entity is configured: report it, and do not set entity_id.",
    ),
    Assumption(
        "dead-token-refused",
        "A token that is not valid is refused in a way that the client recognizes.",
        f"{_GUIDE} (401); {_CLIENTS} (400 REST-1206)",
        "one request with a made-up token",
        "The token is replaced and the request repeated once.",
        "Tasks fail when a token ends early: report it with the evidence.",
    ),
    Assumption(
        "gateway-errors-have-ids",
        "The refusal of a token has an id: REST-1206, REST-2102, GW-0031, GW-0034 or GW-0040.",
        f"{_GUIDE}; {_CLIENTS}",
        "the same request",
        "Ids decide whether the token is dead.",
        "HTTP status and wording decide whether the token is dead.",
    ),
    Assumption(
        "key-is-text",
        "key is a whole number, written as text.",
        f"{_SAGE}; {_RECORDED}",
        "keys of each object",
        "Keys are kept as text and compared as numbers.",
        "Keys that are not whole numbers cannot be used for paging: the object is read by position.",
    ),
    Assumption(
        "key-orders-as-number",
        "A query sorted by key sorts keys as numbers: 9 before 10.",
        _NOWHERE,
        "the first page by key, and the last one",
        "Rows are read in the order of key, from the last certain key on.",
        "The object is read by position: pages by start, repeated until counts and keys agree.",
        "Each page is checked; an object that sorts keys in another way is read by position.",
    ),
    Assumption(
        "key-filters-as-number",
        "A filter on key compares keys as numbers: 10 is more than 9.",
        _NOWHERE,
        "a range that has a known key as numbers and is empty as text",
        "The next page is asked for by key > last, so deletions do not shift it.",
        "The object is read by position: pages by start, repeated until counts and keys agree.",
        "Each page is checked; an object that compares keys in another way is read by position.",
    ),
    Assumption(
        "page-size-limit",
        "A page has up to 4,000 rows.",
        _SAGE,
        "pages of 4,000 and 4,001 rows, or half as many until one works",
        "Pages of 4,000 rows, which cost the fewest transactions.",
        "A refused size is halved until it is accepted; after a shorter page the read goes on from its last key. Set "
        "page_size to the limit to save the refused calls.",
    ),
    Assumption(
        "page-size-reported",
        "pageSize in ia::meta is how many rows the page may have: what was asked for, or less.",
        _SAGE,
        "all pages of the probe",
        "Only counted rows are relied on.",
        "Only counted rows are relied on.",
    ),
    Assumption(
        "next-is-a-start",
        "next in ia::meta is the start of the following page as a number, or null.",
        f"{_SAGE}; {_RECORDED}",
        "all pages of the probe",
        "next is one sign of further rows among others.",
        "The count of rows and the highest key decide whether a read is complete.",
    ),
    Assumption(
        "total-count",
        "totalCount in ia::meta is the number of matching records.",
        f"{_SAGE}; {_RECORDED}",
        "all pages of the probe",
        "Agreeing counts prove a read complete at no cost.",
        "The keys are read again to prove a read complete, which costs as many calls once more.",
    ),
    Assumption(
        "in-takes-500-keys",
        "$in takes 500 values.",
        _NOWHERE,
        "one query with 500 keys",
        "Records are found again by key in groups of 500.",
        "A sync or get_many() that needs several hundred records fails with Intacct's error: report it.",
    ),
    Assumption(
        "model-fields-queryable",
        "A query returns each field of the model that is neither a list nor write-only.",
        "recorded models, of which some fields are refused in queries",
        "one query with all fields of the model of each object",
        'fields="*" reads all of them.',
        'fields="*" fails with REST-1106: exclude the fields that the evidence names.',
    ),
    Assumption(
        "unknown-field-refused",
        "A query with a field that does not exist is refused.",
        _RECORDED,
        "one query with such a field",
        "A misspelled field fails the task, with the closest name.",
        "A misspelled field comes back empty: check the names against the model.",
    ),
    Assumption(
        "errors-have-ids",
        "The refusal of a query has an id such as REST-1106.",
        _RECORDED,
        "the same query",
        "Ids choose the type of the exception and its advice.",
        "HTTP status and wording choose the type of the exception.",
    ),
    Assumption(
        "null-members",
        "A field without a value comes as null in a row.",
        _RECORDED,
        "rows with all fields",
        "null is None in rows and NULL in files and tables.",
        "A missing member is read as None too; so a field that Intacct dropped looks empty.",
    ),
    Assumption(
        "related-fields-dotted",
        "A field of a related object comes under its dotted name, such as term.id.",
        _RECORDED,
        "rows with all fields",
        "The dotted name is the column.",
        "Fields of related objects come back empty: report it.",
    ),
    Assumption(
        "aggregates",
        "count:key counts the records of a query.",
        f"{_SAGE}, which does not say for which fields",
        "one query, compared with totalCount",
        "Counts and control totals are compared with Intacct's own.",
        "Control totals cannot be compared; lists are proven by the counts of pages only.",
    ),
    Assumption(
        "include-private",
        "filterParameters.includePrivate adds the private records of entities to a query at the top level.",
        f"{_SAGE}; {_CLIENTS}",
        "one query, compared with the count without it",
        "A task chooses with filter_parameters whether they are read.",
        "They are read in their entities only: one task for each entity.",
    ),
    Assumption(
        "case-sensitive",
        "Comparisons of text are case-sensitive by default.",
        _SAGE,
        "one query for a text of a record, upper and lower case exchanged",
        "Filters, scopes and match_on distinguish case.",
        "A filter matches more than its text: check what a scope or a match_on finds.",
    ),
    Assumption(
        "case-insensitive-on-request",
        "filterParameters.caseSensitiveComparison: false ignores case.",
        _SAGE,
        "the same query with this parameter",
        "A task chooses with filter_parameters.",
        "filter_parameters do not change comparisons: write each spelling into the filter.",
    ),
    Assumption(
        "date-macros",
        "A date-time compares with currentYear, relative to filterParameters.asOfDate.",
        _SAGE,
        "one query for the year of a known record",
        "PRIOR_MONTH, CURRENT_YEAR and so on are sent as Intacct's macros.",
        "Give dates instead of periods.",
    ),
    Assumption(
        "date-time-filter",
        "A date-time compares with YYYY-MM-DDTHH:MM:SSZ to the second.",
        f"{_CLIENTS}",
        "one query for the time of a known record",
        "Incremental exports begin at the latest time seen, less the look-back.",
        "Incremental exports may miss records: use full exports, and report it.",
    ),
    Assumption(
        "date-time-form",
        "A date-time comes as YYYY-MM-DDTHH:MM:SSZ.",
        f"{_SAGE}; {_RECORDED}",
        "times in rows",
        "Times become UTC in Parquet and databases.",
        "A time without an offset fails exports to Parquet, which name the field; JSON and CSV have it as it came.",
    ),
    Assumption(
        "throttle-headers",
        "Responses say by X-IA-Throttle-Limit how many requests may be in flight; they may do so near the limit only.",
        _GUIDE,
        "headers of all responses",
        "max_concurrency auto climbs to what the headers allow.",
        "max_concurrency auto stays at 4 requests in flight, and halves them after a 429.",
        "Without the headers max_concurrency auto stays at 4 requests in flight, and halves them after a 429.",
    ),
    Assumption(
        "idempotence-supported",
        "The model says idempotenceSupported: true, so a repeated creation makes one record.",
        f"{_GUIDE}; recorded models",
        "the model of each object",
        "A creation whose response was lost is sent again under the same Idempotency-Key.",
        "A creation without an id whose response was lost fails the task, which says what to check.",
    ),
    Assumption(
        "id-not-required",
        "A new record needs no id: Intacct numbers it.",
        f"{_SAGE} for customers; models mark no field as required, not even those that are",
        "the model of each object",
        "A record without an id is created, and the response has the id that Intacct gave.",
        "A record without an id is rejected with Intacct's reason: give one.",
    ),
    Assumption(
        "web-url",
        "A query returns webURL, the address of a record in Intacct, where the model has it.",
        f"{_SAGE} of 2026; missing in recorded models",
        "the model and the rows of each object",
        "It is a field like any other; nothing depends on it.",
        "Leave it out of fields.",
    ),
    Assumption(
        "audit-history-deletions",
        "A query of company-config/audit-history returns deletions.",
        _SAGE,
        "one query for the latest deletion; with `--write`, for a deletion of the probe itself",
        "Deletions are looked for there first, and keys are compared for what it does not say.",
        "Deletions are found by comparing all keys.",
    ),
    Assumption(
        "audit-history-delay",
        "A change is in the audit history within three hours.",
        f"{_GUIDE} (two hours); {_CLIENTS} (two and a half)",
        "the latest change of a record, compared with the latest entry; with `--write`, a deletion of the probe itself",
        "Each look begins three hours before the latest entry seen.",
        "Deletions that appear later are found by the next comparison of keys.",
    ),
    Assumption(
        "refresh-token-single-use",
        "A refresh token works once; the response has its successor.",
        f"{_NOWHERE}; {_CLIENTS} store each successor",
        "never, since the second use could end the tokens of your tasks",
        "A successor is stored before it is used, and processes share it.",
        "A token that stays valid is used again.",
    ),
    Assumption(
        "idempotency-replay",
        "A creation repeated under its Idempotency-Key returns the first response and makes no second record.",
        _GUIDE,
        "one creation sent twice",
        "Lost responses and Airflow's retries never write twice.",
        "A lost response may lead to a second record: set retries=0 on tasks that create records.",
        write=True,
    ),
    Assumption(
        "idempotency-batch-replay",
        "The same holds for a batch.",
        _NOWHERE,
        "one batch sent twice",
        "A batch whose response was lost is sent again under its key.",
        "Before a batch is sent again, set retries=0 or match records by id.",
        write=True,
    ),
    Assumption(
        "batch-partial-failure",
        "A batch with an invalid record writes the others, and its response says which is which.",
        _GUIDE,
        "a batch with one valid and one invalid record",
        "Rejected records are reported; the others are written.",
        "One invalid record rejects its whole batch.",
        write=True,
    ),
    Assumption(
        "batch-answer-order",
        "The results of a batch come in the order of its records.",
        _GUIDE,
        "a batch of three records that are read again",
        "Results without key and id are matched by position.",
        "Results are matched by key or id; where they have neither, the outcome is reported as unknown.",
        write=True,
    ),
    Assumption(
        "null-clears-field",
        "A PATCH with null clears a field.",
        f"{_CLIENTS}; {_NOWHERE}",
        "a text field set and cleared",
        "null in desired records clears the field.",
        "A sync reports the field as accepted and not changed.",
        write=True,
    ),
    Assumption(
        "null-clears-reference",
        "A PATCH with null clears a reference.",
        _NOWHERE,
        "a reference set and cleared",
        "null in desired records clears the reference.",
        "A sync reports the reference as accepted and not changed.",
        write=True,
    ),
    Assumption(
        "unwritable-field-refused",
        "A PATCH of a read-only field is refused.",
        "live reports of both: refused (REST-1050), and accepted without effect",
        "a PATCH of a read-only field",
        "The record is rejected with Intacct's reason.",
        "A sync reads what it wrote once more, and reports what was accepted and not changed.",
        write=True,
    ),
    Assumption(
        "delete-missing-key",
        "The deletion of a missing key answers 404.",
        f"{_GUIDE} do not say",
        "the key of a deleted record, deleted again",
        "404 after a repeated deletion counts as deleted; otherwise the record is reported as missing.",
        "The deletion of a record that did not exist is reported as done.",
        write=True,
    ),
)
