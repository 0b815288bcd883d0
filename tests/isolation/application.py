"""A shop with a database file of its own, in a directory of its own, and one check of it in a fresh process.

::

    FOLDER/data/application.db      what the application is configured with: stock 777, and what SQLite keeps beside it
    FOLDER/data/application.db-wal
    FOLDER/code/shop.py             the application; a way puts code of its own at its end
    FOLDER/code/checked.py          the scenario, likewise: the checked database is seeded with stock 10
    FOLDER/names/                   a symbolic link, and where it is asked for a hard link, to the file

The file's stock is far from the seed's, so that a client which has read it gives itself away.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import Factory, define, field, frozen

from tests.isolation.witness import Watch, calls_on, outlived, traced

CHECKOUT = Path(__file__).parents[2]
OWN = 777
"""The stock in the application's own file."""

AFTER_S = 2.0
"""How long after the end of a check its processes may take to end."""


# --- The application's file --------------------------------------------------------------------------


class Kept(Enum):
    """How the application's own file was left."""

    ROLLBACK = "rollback"
    WAL = "wal"
    LIVE_WAL = "wal with pages that are not in the file"
    HOT = "rollback with a hot journal"


def _ready(path: Path, journal: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL)")
    connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, what VARCHAR NOT NULL)")
    connection.execute("INSERT INTO item VALUES (1, ?)", (OWN,))
    return connection


@functools.cache
def own_files(kept: Kept) -> dict[str, bytes]:
    """Return the files of a database that was left so, by name; opening it changes all but the first kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "application.db"
        connection = _ready(path, "wal" if kept in {Kept.WAL, Kept.LIVE_WAL} else "delete")
        if kept is Kept.HOT:  # what does not fit into the cache is written before it is committed
            connection.execute("PRAGMA cache_size = 2")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO note (what) VALUES (?)", [("x" * 2000,)] * 100)
        if kept in {Kept.LIVE_WAL, Kept.HOT}:
            found = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
            connection.close()
            return found
        connection.close()
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


# --- The application ---------------------------------------------------------------------------------

_SHOP = '''
"""A shop, as an application."""

import contextlib
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading

from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

PATH = {path!r}
SYMBOLIC = {symbolic!r}
HARD = {hard!r}
engine = create_engine("sqlite:///" + {configured!r})


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    what: Mapped[str]


def sell():
    """Sell one, and return the stock that was there."""
    with Session(engine) as session:
        item = session.get(Item, 1)
        seen = item.stock
        item.stock = seen - 1
        session.commit()
    return seen


def sell_through(connect):
    """Sell one over a connection of the driver."""
    connection = connect()
    (seen,) = connection.execute("SELECT stock FROM item WHERE id = 1").fetchone()
    connection.execute("UPDATE item SET stock = ? WHERE id = 1", (seen - 1,))
    connection.commit()
    connection.close()
    return seen


def touch(*_arguments, **_options):
    """Empty the shop, whatever the database says to it."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(PATH, timeout=0)) as connection:
        connection.execute("UPDATE item SET stock = 0")
        connection.commit()

'''

_CHECKED = '''
"""What is checked of the shop."""

import shop
from shop import *
from treadle import *

schema = shop.Base.metadata


def seed(engine):
    with shop.Session(engine) as session, session.begin():
        session.add(shop.Item(id=1, stock=10))


def every_sale_counts(view):
    return view.rows("item")[0]["stock"] == 10 - len(view.returned())


def private(view):
    return all(seen is None or seen <= 10 for seen in view.returned().values())

'''

_SCENARIO = """
scenario = Scenario(
    "shop",
    Database(schema, seed, engine=shop.engine),
    [Client("Ann", sell), Client("Bob", sell)],
    [
        at_end("every sale counts", every_sale_counts, name="counts"),
        at_end("what was read is of the checked database", private, name="private"),
    ],
    expect_violated={"counts"},
)

"""


class End(Enum):
    """How a check may end."""

    COPY = "the verdict of the checked database"
    ERROR = "one clear error"


EITHER = frozenset(End)
COPY = frozenset({End.COPY})
ERROR = frozenset({End.ERROR})


@frozen
class Way:
    """A way to the application's own file.

    Attributes:
        name: says it.
        shop: what the application's module ends with.
        before: what the scenario's module has before the scenario; it may give ``sell``, ``schema``, ``seed`` and the
            predicates another meaning.
        after: what it has after the scenario.
        ends: how the check may end.
        arguments: of the command line.
        target: what is checked.
        script: runs in place of the command line, and prints what it decided as the command line does.
        needs: modules and commands without which there is no such way.
        kept: how the application's own file was left; by default each way has its turn of them.
        unheard: whether Python itself may print a traceback, as it does where nobody can catch an exception.
        by_engine: whether it is the application's engine that leads to the file.
        fast: whether it is tried every day.
    """

    name: str
    shop: str = field(default="", kw_only=True, repr=False)
    before: str = field(default="", kw_only=True, repr=False)
    after: str = field(default="", kw_only=True, repr=False)
    ends: frozenset[End] = field(default=EITHER, kw_only=True)
    arguments: tuple[str, ...] = field(default=(), kw_only=True)
    target: str = field(default="checked:scenario", kw_only=True)
    script: str | None = field(default=None, kw_only=True, repr=False)
    needs: tuple[str, ...] = field(default=(), kw_only=True)
    kept: Kept | None = field(default=None, kw_only=True)
    unheard: bool = field(default=False, kw_only=True)
    by_engine: bool = field(default=False, kw_only=True)
    fast: bool = field(default=False, kw_only=True)


@define
class Folder:
    """A directory with the application, its file, and what is to be checked of it."""

    root: Path
    before: dict[str, tuple[bytes, int, int]] = Factory(dict)

    @property
    def code(self) -> Path:
        """Where its modules are."""
        return self.root / "code"

    @property
    def data(self) -> Path:
        """Where its own file is."""
        return self.root / "data"

    def write(self, way: Way, kept: Kept, *, elsewhere: bool = False) -> None:
        """Write all of it; perhaps with an engine that leads elsewhere."""
        names = self.root / "names"
        for directory in (self.code, self.data, names):
            directory.mkdir(parents=True)
        for name, content in own_files(kept).items():
            (self.data / name).write_bytes(content)
        symbolic, hard, own = names / "symbolic.db", names / "hard.db", self.data / "application.db"
        symbolic.symlink_to(own)
        if "HARD" in way.shop + way.before:
            hard.hardlink_to(own)
        configured = self.code / "elsewhere.db" if elsewhere else own
        shop = _SHOP.format(path=str(own), symbolic=str(symbolic), hard=str(hard), configured=str(configured))
        (self.code / "shop.py").write_text(shop + way.shop)
        (self.code / "checked.py").write_text(_CHECKED + way.before + _SCENARIO + way.after)
        if way.script is not None:
            (self.code / "script.py").write_text(way.script)
        self.before = self.files()

    def files(self) -> dict[str, tuple[bytes, int, int]]:
        """Return what is in the directory of the application's own file: hash, inode, time of the last change."""
        found = {}
        for path in sorted(self.data.iterdir()) if self.data.is_dir() else []:
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[path.name] = (hashlib.sha256(content).digest(), status.st_ino, status.st_mtime_ns)
        return found

    def watched(self) -> tuple[Path, ...]:
        """Return what is watched: each of the application's own files, and the directories that they have names in."""
        return (self.data, self.root / "names", *sorted(self.data.iterdir()))


# --- One check ---------------------------------------------------------------------------------------


@frozen
class Came:
    """What came of one check.

    Attributes:
        touched: what was done to the application's own file; one text for each thing.
        changed: the names of its files that are not as they were.
        alive: the processes that were alive some time after its end.
        code: the exit code; None where it did not end in time.
        verdicts: by the property's name; none where there is no document.
    """

    touched: list[str]
    changed: list[str]
    alive: list[int]
    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdicts, by the names of their properties."""
        return {item["name"]: item["verdict"] for item in self.decided}

    @property
    def decided(self) -> list[dict[str, Any]]:
        """What the document says of each property; nothing where there is none."""
        start = self.out.find('{\n  "treadle"')
        if start < 0:
            return []
        document, _ = json.JSONDecoder().raw_decode(self.out[start:])
        return [item for result in document["results"] for item in result["properties"]]

    def untouched(self) -> list[str]:
        """Return what is wrong with the application's own file, or with what the check left: nothing should be."""
        wrong = []
        if self.changed:
            wrong.append(f"the file changed: {', '.join(self.changed)}")
        if self.touched:
            different = list(dict.fromkeys(self.touched))
            wrong.append(f"{len(self.touched)} times it was touched: {'; '.join(different[:8])}")
        if self.alive:
            wrong.append(f"still alive: {len(self.alive)} processes")
        return wrong

    def judged(self, way: Way) -> list[str]:
        """Return what is wrong with how it ended: nothing should be."""
        if self.code is None:
            return [f"no end after {self.seconds:.0f} s"]
        if self.decided and self.verdicts.get("private") == "violated":
            return ["a client has read the application's own file"]
        if self.code == 0 and End.COPY in way.ends and self.verdicts.get("counts") == "violated":
            return []
        if End.ERROR not in way.ends:
            return [f"no verdict of the checked database: exit code {self.code}, {self.verdicts}"]
        return list(self._unclear(way))

    def _unclear(self, way: Way) -> Iterator[str]:
        """Tell what a user would miss in an error."""
        if self.decided and "inconclusive" not in self.verdicts.values():
            yield f"a verdict, {self.verdicts}, where an error is due"
        if self.code not in {2, 3}:
            yield f"exit code {self.code}, where it is 2 for what cannot be checked, and 3 for what stopped on the way"
        if not self.decided and not re.search(r"^Error: .{20}", self.err, re.MULTILINE):
            yield "no error is printed"
        if "Traceback" in self.err and not way.unheard:
            yield "a traceback is printed"

    def text(self) -> str:
        """Return all that one wants to see of a failure."""
        end = f"exit code {self.code} after {self.seconds:.1f} s"
        return f"{end}\n--- out\n{self.out[-2000:]}\n--- err\n{self.err[-3000:]}"


def environment(mark: str) -> dict[str, str]:
    """Return the environment of a fresh process: this checkout's modules, and a mark to be found by."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "HYPOTHESIS"))}
    return {**kept, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1", "TREADLE_TRUTH": mark}


def command_of(way: Way) -> list[str]:
    """Return the command that checks."""
    if way.script is not None:
        return [sys.executable, "script.py"]
    return [sys.executable, "-m", "treadle", "check", way.target, "--format", "json", *way.arguments]


@define
class Running:
    """A check that runs in a fresh process, in a session of its own.

    Attributes:
        process: the one that checks.
        mark: in the environment of all its processes.
    """

    process: subprocess.Popen[bytes]
    folder: Folder
    mark: str
    started: float
    trace: Path | None

    def interrupt(self) -> None:
        """Do as Ctrl-C does: the whole process group gets the signal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finished(self, within_s: float) -> int | None:
        """Wait for its end, and return the exit code; None if it takes longer, and then end it."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None


@contextmanager
def running(folder: Folder, command: list[str], *, trace: bool = False) -> Iterator[Running]:
    """Start a check, and see to it that nothing of it outlives the test."""
    mark = f"mark-{secrets.token_hex(8)}"
    output = folder.root / "trace" if trace else None
    with (
        (folder.root / "out").open("wb") as out,
        (folder.root / "err").open("wb") as err,
        subprocess.Popen(
            traced(command, output) if output is not None else command,
            cwd=folder.code,
            env=environment(mark),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Running(process, folder, mark, time.monotonic(), output)
        finally:
            outlived(mark, process.pid, 0.0)
            process.kill()


def witnessed(
    folder: Folder,
    command: list[str],
    *,
    trace: bool = False,
    within_s: float = 60.0,
    meanwhile: Callable[[Running], object] | None = None,
) -> Came:
    """Run a check to its end under the eyes of the operating system, and return what came of it.

    Args:
        folder: where everything is.
        command: what runs.
        trace: whether system calls are traced as well.
        within_s: how long it may take.
        meanwhile: done while it runs.
    """
    with Watch(folder.watched()) as watch, running(folder, command, trace=trace) as run:
        if meanwhile is not None:
            meanwhile(run)
        code = run.finished(within_s)
        seconds = time.monotonic() - run.started
        left = outlived(run.mark, run.process.pid, AFTER_S if code is not None else 0.0)
    seen = list(watch.seen)
    if run.trace is not None:
        seen += calls_on(run.trace, [folder.data / name for name in folder.before])
    now = folder.files()
    changed = [name for name in sorted({*now, *folder.before}) if now.get(name) != folder.before.get(name)]
    out, err = ((folder.root / name).read_text(errors="replace") for name in ("out", "err"))
    return Came(seen, changed, left, code, out, err, seconds)


def checked(way: Way, kept: Kept, root: Path, *, trace: bool = False) -> Came:
    """Write the application of a way, check it, and return what came."""
    folder = Folder(root)
    folder.write(way, kept)
    return witnessed(folder, command_of(way), trace=trace)


def is_possible(way: Way) -> bool:
    """Tell whether this machine has what a way needs."""
    return all(_is_here(name) for name in way.needs)


def _is_here(name: str) -> bool:
    if name == "sqlite3":  # a module of that name is always there
        return shutil.which(name) is not None
    return find_spec(name) is not None


# --- Without a checker -------------------------------------------------------------------------------

_PLAIN = '''
"""Does with the application what a check would do, without a checker: whatever it does to its file shows."""

import contextlib
import copy
import gc
import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import types


class Thing:
    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options


class View:
    def __init__(self, seen):
        self.seen = seen

    def rows(self, table):
        return [{"stock": 0}]

    def returned(self):
        return self.seen

    def then(self, client):
        end = types.SimpleNamespace()
        with contextlib.suppress(Exception):
            end.value = client()
        return end


fake = types.ModuleType("treadle")
names = "Scenario", "Database", "Client"
for name in names:
    setattr(fake, name, type(name, (Thing,), {}))
fake.at_end = Thing
fake.__all__ = [*names, "at_end"]
sys.modules["treadle"] = fake


def use(value):
    pickled = lambda value: pickle.loads(pickle.dumps(value))
    for used in (repr, str, lambda value: value == value, lambda value: value <= value, copy.deepcopy, pickled):
        with contextlib.suppress(Exception):
            used(value)


def run(client):
    try:
        value = client()
    except (Exception, SystemExit) as error:
        use(error)
        return None
    use(value)
    return value


def main(target):
    module, _, name = target.partition(":")
    scenario = getattr(importlib.import_module(module), name)
    if not isinstance(scenario, Thing):
        scenario = scenario() if callable(scenario) else scenario
        scenario = next(iter(scenario), None) if hasattr(scenario, "__iter__") else None
    if scenario is None:
        return
    _, database, clients, properties = scenario.arguments
    schema, seed = database.arguments
    engine = database.options["engine"]
    with contextlib.suppress(Exception):
        schema.create_all(engine) if hasattr(schema, "create_all") else schema(engine)
    with contextlib.suppress(Exception):
        seed(engine)
    seen = {}
    for client in clients:
        repr(client.arguments[1])
        seen[client.arguments[0]] = run(client.arguments[1])
        gc.collect()
    for item in properties:
        with contextlib.suppress(Exception):
            item.arguments[1](View(seen))
    importlib.import_module("wave")
    threading.Thread(target=int, args=("x",)).start()
    subprocess.run(["true"])
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    time.sleep(0.4)


with contextlib.suppress(Exception):
    main(TARGET)
'''


def plainly_run(way: Way, root: Path) -> Came:
    """Run the application of a way without a checker, on a file that is left as plain as can be.

    Its engine leads elsewhere, so that what touches the file is what the way is about.
    """
    folder = Folder(root)
    folder.write(way, Kept.ROLLBACK, elsewhere=not way.by_engine)
    (folder.code / "plain.py").write_text(_PLAIN.replace("TARGET", repr(way.target)))
    return witnessed(folder, [sys.executable, "plain.py"])
