"""Count and copy the rows of a user in the database of a server."""

from sqlalchemy import text

from tests.support.server import Server


def count_rows(server: Server, owner: str) -> dict[str, int]:
    """Return how many rows of each table belong to `owner`."""
    columns = {"tasks": "user_id", "idempotency_keys": "user_id", "users": "id"}
    with server.database() as connection:
        return {
            table: connection.execute(
                text(f"SELECT count(*) FROM {table} WHERE {column} = :owner"), {"owner": owner}
            ).scalar_one()
            for table, column in columns.items()
        }


def copy_task(server: Server, owner: str, times: int) -> None:
    """Insert copies of the task of `owner` into the database."""
    with server.database() as connection:
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :times) "
                "INSERT INTO tasks (user_id, title, completed, created_at, updated_at, version) "
                "SELECT user_id, 'Task ' || i, completed, created_at, updated_at, 1 FROM n, "
                "(SELECT * FROM tasks WHERE user_id = :owner LIMIT 1) AS one"
            ),
            {"times": times, "owner": owner},
        )
