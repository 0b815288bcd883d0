"""The ledger: which tables may differ from the committed content that was read last.

To read all rows after each commit costs more the more there are. What a statement can write stands in its bytecode.

Where all that was done to a table were plain INSERTs, and it has just as many rows with higher rowids than before,
then these are all that is new. Where anything is unclear, everything is read. docs/soundness.md argues for it.
"""

from __future__ import annotations

from attrs import define, field

from treadle.world.effects import Effects


@define
class Ledger:
    """What may have been written since the committed content was read.

    Attributes:
        unclear: everything may have been.
        tables: for each table that may have been written to, how many rows were inserted into it; None if
            something else may have been done to it.
    """

    unclear: bool = True
    tables: dict[str, int | None] = field(factory=dict)
    _hidden: bool = False

    def note(self, effects: Effects, changes: int, schema: int) -> None:
        """Note an operation that was done, or tried.

        Args:
            effects: what it does to locks.
            changes: how many rows it changed, as the driver counts them.
            schema: the number of the schema under which it ran.
        """
        if effects.temporary or not effects.known:
            self._hidden = True  # a temporary trigger, perhaps: only its own connection would know of it
        if self._hidden or effects.unknown or schema:
            self.unclear = True
        elif effects.writes:
            self._add(effects, changes)

    def _add(self, effects: Effects, changes: int) -> None:
        if effects.tables is None:
            self.unclear = True
            return
        for table in effects.tables:
            if table == effects.plain:
                count = self.tables.get(table, 0)
                self.tables[table] = None if count is None else count + changes
            else:
                self.tables[table] = None

    def settle(self) -> None:
        """Note that the committed content is known, and that nothing else was written."""
        self.unclear = False
        self.tables.clear()
