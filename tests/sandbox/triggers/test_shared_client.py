"""The client that all triggers of a connection share: bounded, opened once, and closed with the last of them."""

import asyncio
import json
import threading
import time

import psutil
import pytest
from sandbox_client import calls, running

from intacct_provider.exceptions import IntacctAuthenticationError, IntacctError
from intacct_provider.triggers import shared_client
from intacct_provider.triggers.shared_client import share_client

CUSTOMER = "accounts-receivable/customer"
TOKEN, QUERY = "/oauth2/token", "/services/core/query"


@pytest.fixture(scope="module")
def company():
    with running("demo") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def connected(company, monkeypatch):
    """Let each test have a token of its own, and a bounded connection."""
    company.clear_faults()
    connect(company, monkeypatch)
    yield
    company.clear_faults()
    assert not shared_client._shared


def connect(company, monkeypatch, **extra):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection(max_concurrency=3, **extra))


def ask_for_customer(client):
    return client.query(CUSTOMER, ["key"], size=1).total_count


def open_connections(company):
    """Return how many connections this process has opened to a sandbox and not closed."""
    port = int(company.site.rpartition(":")[2].strip("/"))
    return sum(
        bool(one.raddr) and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED
        for one in psutil.Process().net_connections("tcp")
    )


async def until(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.005)


class Gate:
    """A question that is not answered before it is let."""

    def __init__(self):
        self.open = threading.Event()
        self.waiting = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, client):
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.open.wait(60)
        with self._lock:
            self.waiting -= 1
        return ask_for_customer(client)


async def ask_once(question, entity_id=None):
    async with share_client("intacct_default", entity_id) as ask:
        return await ask(question)


def test_many_triggers_have_few_requests_connections_and_tokens(company):
    tokens, gate = len(calls(company, TOKEN)), Gate()

    async def run():
        asking = [asyncio.create_task(ask_once(gate)) for _ in range(50)]
        await until(lambda: gate.waiting == 3)
        gate.open.set()
        return await asyncio.gather(*asking)

    assert len(set(asyncio.run(run()))) == 1
    assert gate.most == 3
    assert len(calls(company, TOKEN)) - tokens <= 1
    assert open_connections(company) == 0


def test_connections_are_kept_while_a_trigger_lives_and_are_as_many_as_threads(company):
    async def run():
        async with share_client("intacct_default") as ask:
            await asyncio.gather(*(ask_once(ask_for_customer) for _ in range(20)))
            kept = open_connections(company)
            await ask(ask_for_customer)
            return kept

    assert 1 <= asyncio.run(run()) <= 3
    assert open_connections(company) == 0


def test_auto_means_four(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    gate = Gate()

    async def run():
        asking = [asyncio.create_task(ask_once(gate)) for _ in range(10)]
        await until(lambda: gate.waiting == 4)
        gate.open.set()
        await asyncio.gather(*asking)

    asyncio.run(run())
    assert gate.most == 4


def test_a_cancelled_trigger_takes_neither_a_thread_nor_the_client_with_it(company):
    gate = Gate()

    async def run():
        async with share_client("intacct_default") as ask:
            cancelled = [asyncio.create_task(ask_once(gate)) for _ in range(10)]
            await until(lambda: gate.waiting == 3)
            for one in cancelled:
                one.cancel()
            assert all(
                isinstance(e, asyncio.CancelledError)
                for e in await asyncio.gather(*cancelled, return_exceptions=True)
            )
            gate.open.set()
            await asyncio.gather(*(ask(ask_for_customer) for _ in range(9)))
            await until(lambda: gate.waiting == 0)

    asyncio.run(run())
    assert gate.most == 3, "a question that was cancelled while it waited in line was asked nevertheless"
    assert open_connections(company) == 0


def test_the_client_is_closed_after_the_question_that_is_in_flight_when_the_last_trigger_is_cancelled(
    company,
):
    gate = Gate()

    async def run():
        alone = asyncio.create_task(ask_once(gate))
        await until(lambda: gate.waiting == 1)
        alone.cancel()
        await asyncio.gather(alone, return_exceptions=True)
        gate.open.set()
        await until(lambda: gate.waiting == 0)
        await until(lambda: open_connections(company) == 0)

    asyncio.run(run())


def test_a_trigger_that_is_cancelled_while_the_client_is_opened_does_not_keep_others_from_it(company):
    async def run():
        first = asyncio.create_task(ask_once(ask_for_customer))
        second = asyncio.create_task(ask_once(ask_for_customer))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(run()) > 0


def test_entities_have_clients_of_their_own(company):
    async def run():
        return await asyncio.gather(
            *(ask_once(lambda client: client.config.entity_id, one) for one in (None, "", "UK"))
        )

    assert asyncio.run(run()) == ["", "", "UK"]


def test_a_connection_that_was_mended_meanwhile_is_read_again(company, monkeypatch):
    wrong = {**json.loads(company.connection()), "password": "changed-since"}
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(wrong))

    async def run():
        async with share_client("intacct_default") as ask:
            for _ in range(2):
                with pytest.raises(IntacctAuthenticationError):
                    await ask(ask_for_customer)
            connect(company, monkeypatch)
            return await asyncio.gather(*(ask(ask_for_customer) for _ in range(5)))

    assert len(set(asyncio.run(run()))) == 1
    assert open_connections(company) == 0


def test_a_trigger_that_begins_asks_the_company_that_the_connection_names_by_now(company, monkeypatch):
    async def run(other):
        async with share_client("intacct_default") as ask:
            before = await ask(ask_for_customer)
            connect(other, monkeypatch)
            async with share_client("intacct_default") as ask_too:
                # The one that has waited for long follows, too.
                return before, await ask_too(ask_for_customer), await ask(ask_for_customer)

    with running() as other:
        before, new, old = asyncio.run(run(other))
    assert before > 0
    assert (new, old) == (0, 0)


def test_a_trigger_that_never_ends_learns_that_the_connection_was_changed(company, monkeypatch):
    monkeypatch.setattr(shared_client, "OLDEST", 0.0)

    async def run(other):
        async with share_client("intacct_default") as ask:
            before = await ask(ask_for_customer)
            connect(other, monkeypatch)
            changed = await ask(ask_for_customer)
            monkeypatch.delenv("AIRFLOW_CONN_INTACCT_DEFAULT")
            return before, changed, await ask(ask_for_customer)

    with running() as other:
        before, *after = asyncio.run(run(other))
    assert before > 0
    assert after == [0, 0], "a connection that cannot be read is used as it was"


def test_credentials_that_were_rejected_are_not_sent_by_each_trigger(company, monkeypatch):
    wrong = {**json.loads(company.connection(max_concurrency=3)), "password": "changed-since"}
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(wrong))

    async def one():
        async with share_client("intacct_default") as ask:
            with pytest.raises(IntacctAuthenticationError):
                await ask(ask_for_customer)

    async def run():
        async with share_client("intacct_default"):
            await asyncio.gather(*(one() for _ in range(100)))

    before = len(calls(company, TOKEN))
    asyncio.run(run())
    assert 1 <= len(calls(company, TOKEN)) - before <= 3


def test_a_connection_that_cannot_be_read_is_read_again_by_the_next_question(company, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_INTACCT_DEFAULT")

    async def run():
        async with share_client("intacct_default") as ask:
            with pytest.raises(Exception, match="intacct_default"):
                await ask(ask_for_customer)
            connect(company, monkeypatch)
            return await ask(ask_for_customer)

    assert asyncio.run(run()) > 0


def test_an_error_of_one_question_is_its_own(company):
    def fail(client):
        return client.query("accounts-receivable/nothing", ["key"])

    async def run():
        async with share_client("intacct_default") as ask:
            return await asyncio.gather(ask(fail), ask(ask_for_customer), return_exceptions=True)

    error, answer = asyncio.run(run())
    assert isinstance(error, IntacctError)
    assert answer > 0


def test_a_forked_process_opens_a_client_of_its_own(company):
    async def run():
        async with share_client("intacct_default") as ask:
            await ask(ask_for_customer)
            mine = next(iter(shared_client._shared.values()))
            shared_client._renew_after_fork()
            assert not shared_client._shared
            async with share_client("intacct_default") as again:
                assert next(iter(shared_client._shared.values())) is not mine
                assert await again(ask_for_customer) == await ask(ask_for_customer)

    asyncio.run(run())
    assert open_connections(company) == 0
