"""The two questions before anything is written."""

from __future__ import annotations

from intacct_provider.client.config import IntacctConfig
from intacct_provider.exceptions import IntacctConfigError


def confirm_writes(config: IntacctConfig, object_name: str) -> bool:
    """Ask twice whether the company is a test company, and return whether both answers say so.

    :raises IntacctConfigError: if the connection names no company to compare with.
    """
    if not config.company_id:
        raise IntacctConfigError("--write needs company_id in the connection, to compare your answer with.")
    print(
        f"--write creates, changes and deletes records of {object_name}. Use it in a test company only: rules, "
        "triggers and people of the company may react to them."
    )
    company = _ask("Type the id of the company, if it is a test company: ")
    return company == config.company_id and _ask(f"Type {object_name} to write its records: ") == object_name


def _ask(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        return ""
