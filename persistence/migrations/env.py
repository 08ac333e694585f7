"""Run by Alembic on the connection, and in the transaction, that persistence/schema.py opens."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="todo_schema_version",  # not alembic_version: the database may be shared with a frontend's
    transactional_ddl=True,  # SQLite's is; Alembic assumes that it is not
)
context.run_migrations()
