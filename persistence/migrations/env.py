"""Run by Alembic on the connection, and in the transaction, that persistence/schema.py opens."""

from alembic import context

from persistence.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite's is; Alembic assumes that it is not
)
context.run_migrations()
