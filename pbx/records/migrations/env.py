"""Alembic's way in. The connection, already in a transaction, is handed over by
`pbx.records.database.migrate`; there is no alembic.ini."""

from __future__ import annotations

from alembic import context

from pbx.records.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
