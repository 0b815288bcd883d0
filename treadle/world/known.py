"""What the result of an operation can depend on, and what is known of SQLite's parts.

==================================================  ================================================================
what a result can depend on                         where it is kept
==================================================  ================================================================
rows of all tables, ``sqlite_sequence`` and the     ``Content.tables``
statistics tables among them
the schema, and its number in the header            ``Content.schema``
``user_version``, ``application_id``                ``Content.header``
journal mode, encoding, page size and the like      the same in every world; what changes them is not known (below)
locks of other connections                          ``WorldState.other_locks``
a process outside; whether a wait is over           ``Mode``
transaction, savepoints, own lock, own snapshot     ``Posture``, ``Holding.names``
whether others have committed since the snapshot    ``Posture.stale``
statements that are under way                       ``Posture.active``; a call that has stopped: ``Posture.call``
rows that these have read, changes that are not     ``Holding.log``: all that the connection did since it was at rest
committed, temporary tables                         (for ever, where something temporary was made)
PRAGMAs, ``isolation_level``, functions,            ``Holding.settings``: all operations that set something;
collations, busy timeout                            ``Holding.busy_timeout_ms``
schema that the connection has read                 ``Posture.schema_read``; ``Holding.log``, which is kept for ever
                                                    once a client changes the schema (``LogsNeededError``)
``changes()``, ``total_changes()``,                 ``Holding.log``, likewise, once a client asks for one of them
``last_insert_rowid()``
the time of day                                     ``Operation.clock_s``
file layout, page counts, the write-ahead log, the  the whole execution: what asks for these, and all that is on no list
planner's statistics, data_version, and all else    here, is never told from memory (``HistoryNeededError``)
==================================================  ================================================================

The lists name what is known. A part of SQLite that is on none depends on everything that happened in an execution:
a check that meets one runs every schedule from its start, and neither learns nor merges anything.
A test compares the lists with what the SQLite at hand has.
"""

from __future__ import annotations

import enum


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- Opcodes (https://www.sqlite.org/opcode.html) ---------------------------------------------------

INTERPRETED = _words(
    """
    AutoCommit Clear CreateBtree Destroy DropIndex DropTable DropTrigger Halt HaltIfNull JournalMode OpenRead
    OpenWrite ParseSchema ReopenIdx Savepoint SetCookie Transaction
    """
)
"""Opcodes that ``treadle.world.effects`` looks at."""

INERT = _words(
    """
    Abortable Add AddImm Affinity AggFinal AggInverse AggStep AggStep1 AggValue And BeginSubrtn BitAnd BitNot
    BitOr Blob Cast Close ClrSubtype CollSeq Column ColumnsUsed Compare Concat Copy Count CursorHint CursorLock
    CursorUnlock DecrJumpZero DeferredSeek Delete Divide ElseEq EndCoroutine Eq Expire Explain Filter FilterAdd
    FinishSeek FkCheck FkCounter FkIfZero Found Function Ge GetSubtype Gosub Goto Gt IdxDelete IdxGE IdxGT
    IdxInsert IdxLE IdxLT IdxRowid If IfEmpty IFindKey IfNoHope IfNot IfNotOpen IfNotZero IfNullRow IfPos
    IfSizeBetween IfSmaller Init InitCoroutine Insert Int64 IntCopy Integer IsNull IsTrue IsType Jump Last Le Lt
    MakeRecord MemMax Move Multiply MustBeInt Ne NewRowid Next NoConflict Noop Not NotExists NotFound NotNull Null
    NullRow Offset OffsetLimit Once OpenAutoindex OpenDup OpenEphemeral OpenPseudo Or Param Permutation Prev
    Program PureFunc ReadCookie Real RealAffinity ReleaseReg Remainder ResetCount ResetSorter ResultRow Return
    Rewind RowCell RowData Rowid RowSetAdd RowSetRead RowSetTest SCopy SeekEnd SeekGE SeekGT SeekHit SeekLE SeekLT
    SeekRowid SeekScan Sequence SequenceTest SetSubtype ShiftLeft ShiftRight SoftNull Sort SorterCompare
    SorterData SorterInsert SorterNext SorterOpen SorterSort String String8 Subtract TableLock Trace TypeCheck
    Variable VColumn VFilter VInitIn VNext VOpen Yield ZeroOrNull
    """
)
"""Opcodes that compute, or move within tables that others have opened. Virtual tables are known by name (below)."""

UNKNOWN_OPCODES = _words(
    """
    Checkpoint IncrVacuum IntegrityCk LoadAnalysis MaxPgcnt Pagecount SqlExec Vacuum VBegin VCheck
    VCreate VDestroy VRename VUpdate
    """
)
"""Opcodes that are left unknown on purpose: they look at or change more than rows."""

# --- Functions (https://www.sqlite.org/lang_corefunc.html and the pages that it links) --------------

PURE_FUNCTIONS = _words(
    """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws cos cosh
    count cume_dist degrees dense_rank exp first_value floor format glob group_concat hex if ifnull iif instr json
    json_array json_array_insert json_array_length json_error_position json_extract json_group_array
    json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
    json_type json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object
    jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set lag last_value lead length like
    likelihood likely ln log log10 log2 lower ltrim max min mod nth_value ntile nullif octet_length percent_rank
    pi pow power printf quote radians rank replace round row_number rtrim sign sin sinh soundex
    sqlite_compileoption_get sqlite_compileoption_used sqlite_source_id sqlite_version sqrt string_agg substr
    substring subtype sum tan tanh total trim trunc typeof unhex unicode unistr unistr_quote unlikely upper
    zeroblob
    """
)
"""Functions of their arguments alone."""

CLOCK_FUNCTIONS = _words(
    """
    current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch
    """
)
"""Functions that know the time of day; ``treadle.world.clock`` gives them the client's."""

COUNTERS = _words(
    """
    changes last_insert_rowid total_changes
    """
)
"""Functions of what earlier statements of the connection did."""

DICE = _words(
    """
    random randomblob
    """
)
"""Functions that differ from run to run."""

UNKNOWN_FUNCTIONS = _words(
    """
    bm25 fts3_tokenizer fts5 fts5_get_locale fts5_insttoken fts5_locale fts5_source_id highlight load_extension
    match matchinfo offsets optimize rtreecheck rtreedepth rtreenode snippet sqlite_log
    """
)
"""Built-in functions that are left unknown on purpose. Functions that clients register are known if they say so."""

# --- Virtual tables (https://www.sqlite.org/vtablist.html) ------------------------------------------

PURE_TABLES = _words(
    """
    json_each json_tree jsonb_each jsonb_tree
    """
)
"""Table-valued functions of their arguments alone; so are those of introspection PRAGMAs, ``pragma_table_info``..."""

UNKNOWN_TABLES = _words(
    """
    bytecode dbstat fts3 fts3tokenize fts4 fts4aux fts5 fts5vocab rtree rtree_i32 sqlite_stmt tables_used
    """
)
"""Modules that are left unknown on purpose."""

# --- PRAGMAs (https://www.sqlite.org/pragma.html) ---------------------------------------------------


class Pragma(enum.Enum):
    """What a PRAGMA does."""

    SETTING = "setting"
    """Sets or tells something that the connection alone has, and keeps."""

    PASSING = "passing"
    """Sets something that ends by itself, at the next COMMIT say."""

    INTROSPECTION = "introspection"
    """Tells the schema, or what this library can do."""

    HEADER = "header"
    """Tells or sets a number in the database's header that is part of what is committed."""

    CHECK = "check"
    """Reads tables."""

    JOURNAL = "journal"
    """Tells the journal mode, or sets it; to set what is there already does nothing."""

    TIMEOUT = "timeout"
    """Sets or tells how long the connection waits."""

    LOCKING = "locking"
    """Tells the locking mode; an exclusive one cannot be checked."""


PRAGMAS = (
    {
        "application_id": Pragma.HEADER,
        "user_version": Pragma.HEADER,
        "busy_timeout": Pragma.TIMEOUT,
        "journal_mode": Pragma.JOURNAL,
        "locking_mode": Pragma.LOCKING,
        "defer_foreign_keys": Pragma.PASSING,
        "foreign_key_check": Pragma.CHECK,
        "integrity_check": Pragma.CHECK,
        "quick_check": Pragma.CHECK,
    }
    | dict.fromkeys(
        _words(
            """
            analysis_limit automatic_index cache_size cache_spill case_sensitive_like cell_size_check
            checkpoint_fullfsync count_changes empty_result_callbacks encoding foreign_keys full_column_names fullfsync
            ignore_check_constraints journal_size_limit legacy_alter_table mmap_size page_size query_only
            read_uncommitted recursive_triggers reverse_unordered_selects secure_delete short_column_names synchronous
            temp_store threads trusted_schema wal_autocheckpoint
            """
        ),
        Pragma.SETTING,
    )
    | dict.fromkeys(
        _words(
            """
            collation_list compile_options foreign_key_list function_list index_info index_list index_xinfo module_list
            pragma_list table_info table_list table_xinfo
            """
        ),
        Pragma.INTROSPECTION,
    )
)
"""The PRAGMAs that are known, by name."""

UNKNOWN_PRAGMAS = _words(
    """
    auto_vacuum data_version database_list default_cache_size freelist_count hard_heap_limit incremental_vacuum
    max_page_count optimize page_count schema_version shrink_memory soft_heap_limit temp_store_directory
    wal_checkpoint writable_schema
    """
)
"""PRAGMAs that are left unknown on purpose. A name that SQLite does not know does nothing there."""
