"""Converts rows to the contract's Task and User."""

from typing import Any

from persistence.tables import TaskRow, UserRow


def to_task(row: TaskRow) -> dict[str, Any]:
    """Return the row as the contract's Task."""
    return {
        "id": row.id,
        "user_id": row.user_id,
        "title": row.title,
        "description": row.description,
        "completed": row.completed,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "version": row.version,
    }


def to_account(row: UserRow) -> dict[str, Any]:
    """Return the row as the contract's User, without the password hash."""
    return {"id": row.id, "email": row.email, "created_at": row.created_at}
