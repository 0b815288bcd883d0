"""Let notes have a star."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the column."""
    op.add_column("note", sa.Column("starred", sa.Boolean, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("note", "starred")
