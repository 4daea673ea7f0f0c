"""Runs the migrations on the connection that archiver.adapters.catalogue.schema gives."""

from alembic import context

from archiver.adapters.catalogue.schema import is_ours
from archiver.adapters.catalogue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, include_object=is_ours)
with context.begin_transaction():
    context.run_migrations()
