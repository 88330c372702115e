"""Who shares a stream: those that run at the time, in the same event loop."""

import asyncio

from intacct_provider.triggers.groups import find_group, join_group


def test_a_watcher_is_in_its_group_while_it_runs():
    async def run():
        group, watcher = find_group("key"), object()
        with join_group("key", watcher):
            assert group == {watcher}
            assert find_group("other") == set()
        assert group == set()

    asyncio.run(run())
