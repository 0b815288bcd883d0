"""Make the table of notes."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make it."""
    op.create_table("note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("what", sa.String, nullable=False))


def downgrade() -> None:
    """Drop it."""
    op.drop_table("note")
