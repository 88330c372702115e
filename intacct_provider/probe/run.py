"""The run of a probe: all questions in the order of their value, so that a spent budget costs the least of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from intacct_provider.client.config import IntacctConfig
from intacct_provider.exceptions import IntacctError
from intacct_provider.probe.answers import Inquiry
from intacct_provider.probe.asking import Asker, BudgetSpentError
from intacct_provider.probe.objects import ObjectReader
from intacct_provider.probe.questions import (
    access,
    dates,
    fields,
    history,
    keys,
    pages,
    queries,
    services,
    writes,
)

Question = Callable[[], None]


def run_inquiry(asker: Asker, config: IntacctConfig, names: Sequence[str]) -> Inquiry:
    """Ask everything that needs no write, and return what was found out.

    :param names: objects to ask about.
    :raises IntacctError: if the first request already fails: then there is nothing to say.
    """
    reader = ObjectReader(asker, names)
    inquiry = Inquiry(asker, reader.objects)
    try:
        reader.read()
    except BudgetSpentError:
        pass
    except IntacctError:
        if not inquiry.readable:
            raise
    access.ask_grant(inquiry, config)
    keys.ask_keys(inquiry)
    fields.ask_rows(inquiry)
    for question in _list_questions(inquiry):
        ask(inquiry, question)
    pages.ask_meta(inquiry)
    services.answer_services(inquiry)
    return inquiry


def run_writes(inquiry: Inquiry, object_name: str) -> bool:
    """Ask what needs writes, and return whether everything that was created is deleted again."""
    records: list[bool] = []
    ask(inquiry, lambda: records.append(writes.ask_writes(inquiry, object_name)))
    return records == [True]


def ask(inquiry: Inquiry, question: Question) -> None:
    """Ask one question; what fails leaves its assumptions unknown, and the next one is asked."""
    try:
        question()
    except BudgetSpentError:
        return
    except IntacctError as err:
        inquiry.failure = f"not answered ({type(err).__name__})"


def _list_questions(inquiry: Inquiry) -> Iterator[Question]:
    """Yield what costs requests, the most valuable first."""
    yield partial(keys.ask_key_filter, inquiry)
    yield partial(pages.ask_page_size, inquiry)
    yield partial(fields.ask_unknown_field, inquiry)
    yield partial(access.ask_dead_token, inquiry)
    yield partial(access.ask_entity_header, inquiry)
    largest = inquiry.largest
    if largest is not None:
        yield partial(queries.ask_private, inquiry, largest)
        yield partial(queries.ask_aggregates, inquiry, largest)
    yield partial(queries.ask_case, inquiry)
    yield partial(dates.ask_dates, inquiry)
    yield partial(history.ask_deletions, inquiry)
    if largest is not None:
        yield partial(queries.ask_many_values, inquiry, largest)
        yield partial(history.ask_delay, inquiry, largest)
