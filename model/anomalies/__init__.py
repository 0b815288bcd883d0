"""Transactions over one table of two rows, in which isolation anomalies show if they can.

The transactions are those of the public test suite Hermitage ("Testing the 'I' in ACID", 2014), written
anew as functions that return what they read.
"""

from __future__ import annotations

from model.anomalies import transactions
from model.anomalies.table import Base, seed

__all__ = ["Base", "seed", "transactions"]
