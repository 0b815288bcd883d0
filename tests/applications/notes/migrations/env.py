"""What alembic runs a migration with."""

from alembic import context
from sqlalchemy import text

config = context.config
engine = config.attributes["engine"]

with engine.connect() as connection:
    if config.attributes["locked"]:
        connection.execute(text("BEGIN EXCLUSIVE"))
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
