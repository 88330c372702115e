"""When Airflow tries a task again that failed because of Intacct. Needs Airflow 3.3 or later."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError, IntacctBudgetError, IntacctError

try:
    from airflow.sdk import RetryAction, RetryDecision, RetryPolicy
except ImportError as err:
    raise ImportError("IntacctRetryPolicy needs Airflow 3.3 or later, which has retry policies.") from err

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds; whatever Intacct asks for, a task waits no longer.
LONGEST = 86_400.0
#: Seconds after midnight within which tasks begin again, each at a random time.
SPREAD = 600.0
#: Waits of an attempt that spend no retry, where Airflow can do that; each further one does.
MOST_WAITS = 10
#: The longest chain of causes that is followed.
_DEPTH = 20


class IntacctRetryPolicy(RetryPolicy):
    """Retry what may succeed later, as late as Intacct says, and nothing else.

    The first error of this provider in the exception or its causes decides:

    * an error that a retry cannot fix (credentials, permission, validation, a wrong argument) fails the task at once,
      also where plain Python of a ``@task`` raises it;
    * an error with ``retry_after``, such as a rate limit, waits as long as Intacct asks, and up to a tenth more at
      random, at most a day. Where Airflow can wait without spending a retry (3.4), it does so ten times an attempt;
    * a spent ``max_transactions`` of an export waits for the next day, 00:00 UTC, if ``wait_for_budget`` is set, and
      fails otherwise;
    * for everything else the task's own ``retries`` and ``retry_delay`` count.

    A policy never retries more often than ``retries`` allows, apart from those waits in Airflow 3.4.

    >>> IntacctToObjectStorageOperator(..., retries=3, retry_policy=IntacctRetryPolicy())

    :param wait_for_budget: retry a task that spent its ``max_transactions`` on the next day.
    """

    def __init__(self, *, wait_for_budget: bool = False) -> None:
        if not isinstance(wait_for_budget, bool):
            raise IntacctArgumentError(f"wait_for_budget must be True or False, not {wait_for_budget!r}.")
        self.wait_for_budget = wait_for_budget

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow passes it
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decide about a task that failed."""
        error = next((one for one in _list_causes(exception) if isinstance(one, IntacctError)), None)
        if error is None:
            return RetryDecision.default()
        name = type(error).__name__
        if self.waits_for(error):
            return _wait(_seconds_to_next_day(), f"{name}: the budget is spent; waiting for the next day")
        if not error.retryable:
            return RetryDecision.fail(f"{name}: a retry cannot fix this")
        asked = error.retry_after
        if asked is None:
            return RetryDecision.default()
        seconds = min(asked * random.uniform(1, 1.1), LONGEST)  # noqa: S311
        return _wait(seconds, f"{name}: Intacct asks to wait {asked:g} s")

    def waits_for(self, error: IntacctError) -> bool:
        """Whether it retries an error that fails a task otherwise; operators ask before they fail it."""
        return self.wait_for_budget and isinstance(error, IntacctBudgetError)

    def serialize(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"wait_for_budget": self.wait_for_budget}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> IntacctRetryPolicy:
        """Return the policy with these arguments."""
        return cls(**data)


def _list_causes(exception: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what caused it; a cause that the code says counts before one that Python adds."""
    current: BaseException | None = exception
    for _ in range(_DEPTH):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _wait(seconds: float, reason: str) -> RetryDecision:
    """Return a decision to wait, without spending a retry where Airflow can."""
    how: dict[str, Any] = {"action": RetryAction.RETRY}
    if reschedule := getattr(RetryAction, "RESCHEDULE", None):
        how = {"action": reschedule, "max_reschedules": MOST_WAITS}
    return RetryDecision(retry_delay=dt.timedelta(seconds=seconds), reason=reason, **how)


def _seconds_to_next_day() -> float:
    now = dt.datetime.now(dt.UTC)
    midnight = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
    return (midnight - now).total_seconds() + random.uniform(0, SPREAD)  # noqa: S311
