"""Ids of desired records that a person takes for another one, desired or live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from intacct_provider.sync.lookalikes import describe_characters, differ_by_case, fold_text
from intacct_provider.sync.problems import Problem, show_value
from intacct_provider.sync.records import look_up, match_text

if TYPE_CHECKING:
    from intacct_provider.sync.desired.state import Desired


def check_spelling(desired: Desired, live_rows: Iterable[Mapping[str, Any]], match_on: str) -> list[Problem]:
    """Return the desired records that are new by their id, but whose id looks like that of another record.

    An id that is exactly a live one is that one. Another one must not share a form with a live id or with an earlier
    desired one (:func:`~intacct_provider.sync.lookalikes.fold_text`): a mirror would delete the record that is meant
    and create its twin.

    :param live_rows: those that are desired, or look like one that is.
    """
    live = {match_text(look_up(row, match_on)): str(row["key"]) for row in live_rows}
    taken = {form: (match, "") for match in live for form in fold_text(match)}
    problems = []
    for place, record in zip(desired.places, desired.records, strict=True):
        match = match_text(look_up(record, match_on))
        if match in live or not match.strip():
            continue
        forms = fold_text(match)
        other, where = next((taken[form] for form in forms if form in taken), (match, ""))
        if other != match:
            text = _describe_twin(match, other, where or f"the live record with key {live.get(other, '')}")
            problems.append(Problem(place, match, desired.column(match_on), show_value(match), text))
        for form in forms:
            taken.setdefault(form, (match, place))
    return problems


def _describe_twin(match: str, other: str, where: str) -> str:
    """Return how an id differs from one that looks the same, as the end of a sentence."""
    if differ_by_case(match, other):
        # A person does not see how the Kelvin sign differs from a K, or a composed letter from its parts.
        odd = describe_characters("".join(c for c in match + other if (c in match) != (c in other)))
        what = (
            f"{show_value(other)} ({where}) differs from it only by case, which Intacct may treat as the same"
        )
        return f"is {show_value(match)}, and {what}; use one spelling{f' (one has {odd})' if odd else ''}"
    odd = describe_characters(match) or f"the other has {describe_characters(other)}"
    return (
        f"is {show_value(match)} ({odd}), which looks like {show_value(other)} of {where}; a person takes both for one "
        f"id. Use one spelling{_add_characters(match, other)}"
    )


def _add_characters(match: str, other: str) -> str:
    found = describe_characters(other)
    return f" (that one has {found})" if found and describe_characters(match) else ""
