"""Many tasks at once, stored without the server."""

from sqlalchemy import inspect, text

from tests.support.server import Server


def multiply_tasks(server: Server, doublings: int = 10) -> None:
    """Copy each task of the server, doubling their number each time."""
    with server.database() as connection:
        columns = [
            found["name"] for found in inspect(connection).get_columns("tasks") if found["name"] != "id"
        ]
        names = ", ".join(columns)
        for _ in range(doublings):
            connection.execute(text(f"INSERT INTO tasks ({names}) SELECT {names} FROM tasks"))
