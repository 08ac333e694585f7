"""Better Auth deletes the tasks of a user before the user, by the hook of docs/better-auth.md."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.ecosystem.better_auth.frontend import as_issuer, better_auth
from tests.support.contract_checks import open_client
from tests.support.server import find_free_port, run_server


def test_deleted_user_has_no_tasks_and_a_failed_deletion_deletes_no_user(
    new_database: Callable[[], str], folder: Path
):
    port = find_free_port()
    issuer = as_issuer(f"http://127.0.0.1:{port}")
    with (
        run_server(folder, DATABASE_URL=new_database(), **issuer) as server,
        open_client(server.url) as http,
        better_auth(folder, port=port, TODO_URL=server.url) as frontend,
    ):
        ada, bob = frontend.visitor("ada"), frontend.visitor("bob")
        users = [visitor.on(http) for visitor in (ada, bob)]
        for user in users:
            user.create_task()
        ada.delete_user()
        assert [len(user.titles()) for user in users] == [0, 1]
        server.stop()
        with pytest.raises(httpx.HTTPStatusError):
            bob.delete_user()
        assert bob.sign_in()
