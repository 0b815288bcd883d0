"""How a client may open the application's own file: each with the driver, with an engine, or in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

from attrs import evolve

from tests.isolation.application import COPY, EITHER, End, Way

_SELLS = """
def sell():
    return sell_through(connect)
"""

_LOOKS = """
def sell():
    with contextlib.closing(connect()) as own:
        (seen,) = own.execute("SELECT stock FROM item WHERE id = 1").fetchone()
    with Session(engine) as session:
        session.get(Item, 1).stock = seen - 1
        session.commit()
    return seen
"""

_ORM = """
def sell():
    with Session(own) as session:
        item = session.get(Item, 1)
        seen = item.stock
        item.stock = seen - 1
        session.commit()
    return seen
"""

_AND_SELLS = """
plainly = sell


def sell():
    touch()
    return plainly()
"""


def _all(
    group: str,
    table: dict[str, str],
    then: str,
    ends: frozenset[End],
    *,
    fast: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Iterator[Way]:
    for name, code in table.items():
        shop = "\n" + dedent(code).strip() + "\n\n" + then
        yield Way(f"{group}: {name}", shop=shop, ends=ends, fast=name in fast, needs=needs)


# --- Who still has the driver's function -------------------------------------------------------------

_REFERENCES = {
    "sqlite3.connect": """
        def connect():
            return sqlite3.connect(PATH)
    """,
    "a name in a module": """
        from sqlite3 import connect as opened

        def connect():
            return opened(PATH)
    """,
    "sqlite3.dbapi2.connect": """
        def connect():
            return sqlite3.dbapi2.connect(PATH)
    """,
    "a name of sqlite3.dbapi2": """
        from sqlite3 import dbapi2

        def connect():
            return dbapi2.connect(PATH)
    """,
    "_sqlite3.connect": """
        import _sqlite3

        def connect():
            return _sqlite3.connect(PATH)
    """,
    "getattr": """
        def connect():
            return getattr(sys.modules["sqlite3"], "con" + "nect")(PATH)
    """,
    "a class attribute": """
        class Store:
            open = staticmethod(sqlite3.connect)

        def connect():
            return Store.open(PATH)
    """,
    "a class attribute that is called on an instance": """
        class Store:
            open = sqlite3.connect

        def connect():
            return Store().open(PATH)
    """,
    "an attribute of an object": """
        import types

        store = types.SimpleNamespace(open=sqlite3.connect)

        def connect():
            return store.open(PATH)
    """,
    "a slot": """
        class Store:
            __slots__ = ("open",)

        store = Store()
        store.open = sqlite3.connect

        def connect():
            return store.open(PATH)
    """,
    "a default argument": """
        def connect(open=sqlite3.connect):
            return open(PATH)
    """,
    "a keyword-only default": """
        def connect(*, open=sqlite3.connect):
            return open(PATH)
    """,
    "a closure": """
        def bound():
            opened = sqlite3.connect
            return lambda: opened(PATH)

        connect = bound()
    """,
    "a closure's default": """
        connect = (lambda opened: lambda path=PATH: opened(path))(sqlite3.connect)
    """,
    "functools.partial": """
        import functools

        connect = functools.partial(sqlite3.connect, PATH)
    """,
    "a partial of a partial, with options": """
        import functools

        connect = functools.partial(functools.partial(sqlite3.connect, timeout=1), PATH)
    """,
    "operator.methodcaller": """
        import operator

        def connect():
            return operator.methodcaller("connect", PATH)(sqlite3)
    """,
    "operator.attrgetter": """
        import operator

        opened = operator.attrgetter("connect")(sqlite3)

        def connect():
            return opened(PATH)
    """,
    "a dataclass's field": """
        import dataclasses
        from typing import Any

        @dataclasses.dataclass
        class Store:
            open: Any = sqlite3.connect

        store = Store()

        def connect():
            return store.open(PATH)
    """,
    "a frozen dataclass": """
        import dataclasses
        from typing import Any

        @dataclasses.dataclass(frozen=True, slots=True)
        class Store:
            open: Any

        store = Store(sqlite3.connect)

        def connect():
            return store.open(PATH)
    """,
    "a tuple": """
        DRIVERS = ("sqlite3", sqlite3.connect)

        def connect():
            return DRIVERS[1](PATH)
    """,
    "a tuple in a tuple": """
        DRIVERS = (("sqlite3", (sqlite3.connect, {})),)

        def connect():
            return DRIVERS[0][1][0](PATH)
    """,
    "a named tuple": """
        import collections

        DRIVER = collections.namedtuple("Driver", "name open")("sqlite3", sqlite3.connect)

        def connect():
            return DRIVER.open(PATH)
    """,
    "a dict": """
        DRIVERS = {"sqlite3": sqlite3.connect}

        def connect():
            return DRIVERS["sqlite3"](PATH)
    """,
    "a dict's key": """
        DRIVERS = {sqlite3.connect: "sqlite3"}

        def connect():
            return next(iter(DRIVERS))(PATH)
    """,
    "a mapping proxy": """
        import types

        DRIVERS = types.MappingProxyType({"sqlite3": sqlite3.connect})

        def connect():
            return DRIVERS["sqlite3"](PATH)
    """,
    "a list": """
        DRIVERS = [sqlite3.connect]

        def connect():
            return DRIVERS[0](PATH)
    """,
    "a frozenset": """
        DRIVERS = frozenset({sqlite3.connect})

        def connect():
            (opened,) = DRIVERS
            return opened(PATH)
    """,
    "a deque": """
        import collections

        DRIVERS = collections.deque([sqlite3.connect])

        def connect():
            return DRIVERS[0](PATH)
    """,
    "a context variable": """
        import contextvars

        DRIVER = contextvars.ContextVar("driver", default=sqlite3.connect)

        def connect():
            return DRIVER.get()(PATH)
    """,
    "a thread-local": """
        local = threading.local()
        local.open = sqlite3.connect

        def connect():
            return local.open(PATH)
    """,
    "a suspended generator": """
        def primed():
            opened = sqlite3.connect
            path = yield
            while True:
                path = yield opened(path)

        ready = primed()
        next(ready)

        def connect():
            return ready.send(PATH)
    """,
    "an iterator": """
        import itertools

        DRIVERS = itertools.repeat(sqlite3.connect)

        def connect():
            return next(DRIVERS)(PATH)
    """,
    "map": """
        OPENED = map(sqlite3.connect, [PATH] * 100)

        def connect():
            return next(OPENED)
    """,
    "functools.lru_cache": """
        import functools

        opened = functools.lru_cache(maxsize=0)(sqlite3.connect)

        def connect():
            return opened(PATH)
    """,
    "a wrapper's __wrapped__": """
        import functools

        @functools.wraps(sqlite3.connect)
        def opened(*arguments):
            return opened.__wrapped__(*arguments)

        def connect():
            return opened(PATH)
    """,
    "its own __call__": """
        opened = sqlite3.connect.__call__

        def connect():
            return opened(PATH)
    """,
    "an enum's member": """
        import enum
        import functools

        class Driver(enum.Enum):
            SQLITE = functools.partial(sqlite3.connect)
            OTHER = (sqlite3.connect,)

        def connect():
            return Driver.OTHER.value[0](PATH)
    """,
    "a pickle": """
        import pickle

        DRIVER = pickle.dumps(sqlite3.connect)

        def connect():
            return pickle.loads(DRIVER)(PATH)
    """,
    "evaluated text": """
        def connect():
            return eval("__import__('sqlite3').connect(PATH)")
    """,
    "a module of its own": """
        import types

        driver = types.ModuleType("driver")
        driver.connect = sqlite3.connect
        sys.modules["driver"] = driver

        def connect():
            import driver
            return driver.connect(PATH)
    """,
    "a weak-keyed registry": """
        import weakref

        REGISTRY = weakref.WeakKeyDictionary({Base: sqlite3.connect})

        def connect():
            return REGISTRY[Base](PATH)
    """,
    "a function's annotation": """
        def described() -> sqlite3.connect: ...

        def connect():
            return described.__annotations__["return"](PATH)
    """,
    "a parent class's __new__": """
        class Store:
            def __new__(cls, path, _opened=sqlite3.connect):
                return _opened(path)

        def connect():
            return Store(PATH)
    """,
}

_UNUSUAL = frozenset(
    {
        "a dict's key",
        "a frozenset",
        "a context variable",
        "a thread-local",
        "a suspended generator",
        "an iterator",
        "map",
        "functools.lru_cache",
        "its own __call__",
        "a weak-keyed registry",
        "a function's annotation",
        "a pickle",
    }
)
"""Where nobody would look for a reference: a clear error is as good as a verdict."""

_CLASSES = {
    "sqlite3.Connection": """
        def connect():
            return sqlite3.Connection(PATH)
    """,
    "a Connection bound early": """
        from sqlite3 import Connection

        def connect():
            return Connection(PATH)
    """,
    "a subclass as factory": """
        class Own(sqlite3.Connection):
            pass

        def connect():
            return sqlite3.connect(PATH, factory=Own)
    """,
    "a factory given by position": """
        class Own(sqlite3.Connection):
            pass

        def connect():
            return sqlite3.connect(PATH, 5.0, 0, "", True, Own)
    """,
    "a subclass called directly": """
        class Own(sqlite3.Connection):
            pass

        def connect():
            return Own(PATH)
    """,
    "a subclass with an __init__": """
        class Own(sqlite3.Connection):
            def __init__(self):
                super().__init__(PATH)

        def connect():
            return Own()
    """,
    "a Connection that is initialised later": """
        def connect():
            made = sqlite3.Connection.__new__(sqlite3.Connection)
            made.__init__(PATH)
            return made
    """,
    "a Connection that is initialised again": """
        def connect():
            made = sqlite3.connect(":memory:")
            made.__init__(PATH)
            return made
    """,
    "a function as factory": """
        def connect():
            return sqlite3.connect(PATH, factory=lambda *a, **k: sqlite3.Connection(*a, **k))
    """,
    "a driver imported anew": """
        import importlib

        kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(("sqlite3", "_sqlite3"))}
        anew = importlib.import_module("sqlite3")
        sys.modules.update(kept)

        def connect():
            return anew.connect(PATH)
    """,
}

# --- Under which name --------------------------------------------------------------------------------

_NAMES = {
    "a pathlib.Path": "sqlite3.connect(pathlib.Path(PATH))",
    "bytes": "sqlite3.connect(os.fsencode(PATH))",
    "a keyword": "sqlite3.connect(database=PATH)",
    "a str subclass": "sqlite3.connect(type('Name', (str,), {})(PATH))",
    "an os.PathLike": "sqlite3.connect(type('Place', (), {'__fspath__': lambda self: PATH})())",
    "a path with ..": "sqlite3.connect(os.path.join(os.path.dirname(PATH), '..', 'data', 'application.db'))",
    "a path with //": "sqlite3.connect(PATH.replace('/', '//'))",
    "a path with /./": "sqlite3.connect(PATH.replace('/data/', '/./data/./'))",
    "a relative path": "sqlite3.connect(os.path.relpath(PATH))",
    "a symbolic link": "sqlite3.connect(SYMBOLIC)",
    "a hard link": "sqlite3.connect(HARD)",
    "the root of its own process": "sqlite3.connect('/proc/self/root' + PATH)",
    "a file: URI": "sqlite3.connect('file:' + PATH, uri=True)",
    "a file:// URI": "sqlite3.connect('file://' + PATH, uri=True)",
    "a file://localhost URI": "sqlite3.connect('file://localhost' + PATH, uri=True)",
    "a URI with % escapes": "sqlite3.connect('file:' + PATH.replace('app', '%61pp'), uri=True)",
    "mode=rw": "sqlite3.connect(f'file:{PATH}?mode=rw', uri=True)",
    "mode=rwc": "sqlite3.connect(f'file:{PATH}?mode=rwc', uri=True)",
    "cache=shared": "sqlite3.connect(f'file:{PATH}?cache=shared', uri=True)",
    "nolock=1": "sqlite3.connect(f'file:{PATH}?nolock=1', uri=True)",
    "vfs=unix-none": "sqlite3.connect(f'file:{PATH}?vfs=unix-none', uri=True)",
    "vfs=unix-excl": "sqlite3.connect(f'file:{PATH}?vfs=unix-excl', uri=True)",
    "a relative URI": "sqlite3.connect('file:' + os.path.relpath(PATH) + '?mode=rw', uri=True)",
    "a URI of a symbolic link": "sqlite3.connect(f'file:{SYMBOLIC}?mode=rw', uri=True)",
}

_READ_ONLY = {
    "mode=ro": "sqlite3.connect(f'file:{PATH}?mode=ro', uri=True)",
    "immutable=1": "sqlite3.connect(f'file:{PATH}?immutable=1', uri=True)",
    "mode=ro of a Path's URI": "sqlite3.connect(pathlib.Path(PATH).as_uri() + '?mode=ro', uri=True)",
}

_PLACES = {
    "after chdir": """
        def connect():
            os.chdir(os.path.dirname(PATH))
            return sqlite3.connect("application.db")
    """,
    "after chdir at import": """
        os.chdir(os.path.dirname(PATH))

        def connect():
            return sqlite3.connect("application.db")
    """,
    "after fchdir": """
        def connect():
            there = os.open(os.path.dirname(PATH), os.O_RDONLY)
            os.fchdir(there)
            os.close(there)
            return sqlite3.connect("application.db")
    """,
    "through a descriptor of its directory": """
        def connect():
            there = os.open(os.path.dirname(PATH), os.O_RDONLY)
            return sqlite3.connect(f"/proc/self/fd/{there}/application.db")
    """,
    "through a link made at import": """
        LINK = os.path.abspath("own.db")
        os.symlink(PATH, LINK)

        def connect():
            return sqlite3.connect(LINK)
    """,
    "through a link to its directory": """
        DIRECTORY = os.path.abspath("own")
        os.symlink(os.path.dirname(PATH), DIRECTORY)

        def connect():
            return sqlite3.connect(DIRECTORY + "/application.db")
    """,
    "in a thread that is waited for": """
        from concurrent.futures import ThreadPoolExecutor

        def connect():
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(sqlite3.connect, PATH, check_same_thread=False).result()
    """,
}

# --- Engines -----------------------------------------------------------------------------------------

_ENGINES = {
    "another of the same URL": 'own = create_engine("sqlite:///" + PATH)',
    "with a timeout in the URL": 'own = create_engine("sqlite:///" + PATH + "?timeout=1")',
    "with connect_args": """
        own = create_engine("sqlite:///" + PATH, connect_args={"timeout": 1, "check_same_thread": False})
    """,
    "with a creator": 'own = create_engine("sqlite:///" + PATH, creator=lambda: sqlite3.connect(PATH))',
    "with a creator and a URL that says nothing": """
        own = create_engine("sqlite://", creator=lambda: sqlite3.connect(PATH))
    """,
    "with a creator bound early": """
        import functools

        own = create_engine("sqlite:///" + PATH, creator=functools.partial(sqlite3.connect, PATH))
    """,
    "with a creator that makes a Connection": """
        own = create_engine("sqlite:///" + PATH, creator=lambda: sqlite3.Connection(PATH))
    """,
    "with a NullPool": """
        from sqlalchemy.pool import NullPool

        own = create_engine("sqlite:///" + PATH, poolclass=NullPool)
    """,
    "with a QueuePool": """
        from sqlalchemy.pool import QueuePool

        own = create_engine("sqlite:///" + PATH, poolclass=QueuePool, pool_size=1, max_overflow=0)
    """,
    "with a StaticPool": """
        from sqlalchemy.pool import StaticPool

        own = create_engine("sqlite:///" + PATH, poolclass=StaticPool, connect_args={"check_same_thread": False})
    """,
    "with a SingletonThreadPool": """
        from sqlalchemy.pool import SingletonThreadPool

        own = create_engine("sqlite:///" + PATH, poolclass=SingletonThreadPool)
    """,
    "with a pool of its own": """
        from sqlalchemy.pool import QueuePool

        own = create_engine("sqlite://", pool=QueuePool(lambda: sqlite3.connect(PATH, check_same_thread=False)))
    """,
    "with a do_connect listener": """
        own = create_engine("sqlite:///" + PATH)

        @event.listens_for(own, "do_connect")
        def make(dialect, record, arguments, options):
            return sqlite3.connect(PATH)
    """,
    "with a connect listener": """
        own = create_engine("sqlite:///" + PATH)

        @event.listens_for(own, "connect")
        def ready(connection, record):
            connection.execute("PRAGMA foreign_keys = ON")
            touch()
    """,
    "with a first_connect listener": """
        own = create_engine("sqlite:///" + PATH)
        event.listen(own, "first_connect", touch)
    """,
    "with a checkout listener": """
        own = create_engine("sqlite:///" + PATH)
        event.listen(own, "checkout", touch)
    """,
    "with module=": 'own = create_engine("sqlite:///" + PATH, module=sqlite3)',
    "with another driver": """
        import pysqlite3

        own = create_engine("sqlite:///" + PATH, module=pysqlite3)
    """,
    "of a URI": 'own = create_engine(f"sqlite:///file:{PATH}?mode=rw&uri=true")',
    "of a relative path": 'own = create_engine("sqlite:///" + os.path.relpath(PATH))',
    "of a symbolic link": 'own = create_engine("sqlite:///" + SYMBOLIC)',
    "of a hard link": 'own = create_engine("sqlite:///" + HARD)',
    "from a configuration": """
        from sqlalchemy import engine_from_config

        own = engine_from_config({"sqlalchemy.url": "sqlite:///" + PATH})
    """,
    "with execution options": 'own = engine.execution_options(isolation_level="AUTOCOMMIT")',
    "whose pool was filled at import": """
        own = create_engine("sqlite:///" + PATH)
        with contextlib.suppress(Exception), own.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM item").all()
    """,
    "whose StaticPool was filled at import": """
        from sqlalchemy.pool import StaticPool

        own = create_engine("sqlite:///" + PATH, poolclass=StaticPool, connect_args={"check_same_thread": False})
        with contextlib.suppress(Exception), own.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM item").all()
    """,
    "disposed in the client": """
        own = create_engine("sqlite:///" + PATH)

        def touch():
            own.dispose()

        touch()
    """,
    "made in the client": """
        class Late:
            def __getattr__(self, name):
                return getattr(create_engine("sqlite:///" + PATH), name)

        own = create_engine("sqlite:///" + PATH)
        base = Session

        def Session(_own):
            return base(create_engine("sqlite:///" + PATH))
    """,
}

_UNDER_ENGINES = {
    "raw_connection": """
        def connect():
            return engine.raw_connection()

        def sell_through(connect):
            connection = connect()
            cursor = connection.cursor()
            (seen,) = cursor.execute("SELECT stock FROM item WHERE id = 1").fetchone()
            cursor.execute("UPDATE item SET stock = ? WHERE id = 1", (seen - 1,))
            connection.commit()
            connection.close()
            return seen
    """,
    "its dialect's connect": """
        def connect():
            return engine.dialect.connect(PATH)
    """,
    "its driver's connect": """
        def connect():
            return engine.dialect.dbapi.connect(PATH)
    """,
    "its pool's creator": """
        def connect():
            return engine.pool._creator()
    """,
    "its pool's creator bound early": """
        made = engine.pool._creator

        def connect():
            return made()
    """,
    "a connection that was made at import": """
        connection = sqlite3.connect(PATH, check_same_thread=False)

        def sell():
            (seen,) = connection.execute("SELECT stock FROM item WHERE id = 1").fetchone()
            connection.execute("UPDATE item SET stock = ? WHERE id = 1", (seen - 1,))
            connection.commit()
            return seen

        def sell_through(connect, sell=sell):
            return sell()

        connect = None
    """,
    "a cursor that was made at import": """
        cursor = sqlite3.connect(PATH, check_same_thread=False).cursor()

        def sell_through(connect):
            (seen,) = cursor.execute("SELECT stock FROM item WHERE id = 1").fetchone()
            cursor.execute("UPDATE item SET stock = ? WHERE id = 1", (seen - 1,))
            cursor.connection.commit()
            return seen

        connect = None
    """,
    "a method of a connection that was made at import": """
        execute = sqlite3.connect(PATH, check_same_thread=False, isolation_level=None).execute

        def sell_through(connect):
            (seen,) = execute("SELECT stock FROM item WHERE id = 1").fetchone()
            execute("UPDATE item SET stock = ? WHERE id = 1", (seen - 1,))
            return seen

        connect = None
    """,
    "a transaction that was begun at import": """
        connection = sqlite3.connect(PATH, check_same_thread=False, isolation_level=None)
        with contextlib.suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE item SET stock = 0")

        def sell_through(connect):
            connection.commit()
            return None

        connect = None
    """,
    "a session that was opened at import": """
        session = Session(create_engine("sqlite:///" + PATH, connect_args={"check_same_thread": False}))
        with contextlib.suppress(Exception):
            session.get(Item, 1)

        def sell_through(connect):
            item = session.get(Item, 1)
            seen = item.stock
            item.stock = seen - 1
            session.commit()
            return seen

        connect = None
    """,
    "another driver without an engine": """
        import pysqlite3

        def connect():
            return pysqlite3.connect(PATH)
    """,
}

_ASYNC = {
    "aiosqlite": """
        import asyncio
        import aiosqlite

        async def selling():
            async with aiosqlite.connect(PATH) as connection:
                async with connection.execute("SELECT stock FROM item WHERE id = 1") as cursor:
                    (seen,) = await cursor.fetchone()
                await connection.execute("UPDATE item SET stock = ? WHERE id = 1", (seen - 1,))
                await connection.commit()
            return seen

        def connect():
            return None

        def sell_through(connect):
            return asyncio.run(selling())
    """,
    "an asynchronous engine": """
        import asyncio
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        own = create_async_engine("sqlite+aiosqlite:///" + PATH)

        async def selling():
            async with AsyncSession(own) as session:
                item = await session.get(Item, 1)
                seen = item.stock
                item.stock = seen - 1
                await session.commit()
            await own.dispose()
            return seen

        def connect():
            return None

        def sell_through(connect):
            return asyncio.run(selling())
    """,
}

_TO_THREAD = {
    "asyncio.to_thread": """
        import asyncio

        def connect():
            return sqlite3.connect(PATH)

        def sell_through(connect, through=sell_through):
            return asyncio.run(asyncio.to_thread(through, connect))
    """,
}

# --- In SQL, and from connection to connection -------------------------------------------------------

_SQL = {
    "ATTACH to a database in memory": """
        def touch():
            connection = sqlite3.connect(":memory:")
            connection.execute(f"ATTACH '{PATH}' AS own")
            connection.execute("UPDATE own.item SET stock = 0")
            connection.commit()
    """,
    "ATTACH with a parameter": """
        def touch():
            connection = sqlite3.connect(":memory:")
            connection.execute("ATTACH ? AS own", (PATH,))
            connection.execute("UPDATE own.item SET stock = 0")
            connection.commit()
    """,
    "ATTACH of a URI": """
        def touch():
            connection = sqlite3.connect("file::memory:", uri=True)
            connection.execute(f"ATTACH 'file:{PATH}?mode=ro' AS own")
            connection.execute("SELECT * FROM own.item").fetchall()
    """,
    "ATTACH in a script": """
        def touch():
            connection = sqlite3.connect(":memory:")
            connection.executescript(f"ATTACH '{PATH}' AS own; UPDATE own.item SET stock = 0;")
    """,
    "ATTACH by executemany": """
        def touch():
            connection = sqlite3.connect(":memory:")
            with contextlib.suppress(sqlite3.Error):
                connection.executemany("ATTACH ? AS own", [(PATH,)])
            connection.execute("ATTACH ? AS own", (PATH,))
            connection.execute("UPDATE own.item SET stock = 0")
            connection.commit()
    """,
    "ATTACH to a nameless database": """
        def touch():
            connection = sqlite3.connect("")
            connection.execute("ATTACH ? AS own", (PATH,))
            connection.execute("UPDATE own.item SET stock = 0")
            connection.commit()
    """,
    "ATTACH where the authorizer is taken away": """
        def touch():
            connection = sqlite3.connect(":memory:")
            connection.set_authorizer(None)
            connection.execute("ATTACH ? AS own", (PATH,))
            connection.execute("UPDATE own.item SET stock = 0")
            connection.commit()
    """,
    "ATTACH where the authorizer allows all": """
        def touch():
            connection = sqlite3.connect(":memory:")
            sqlite3.Connection.set_authorizer(connection, lambda *_: sqlite3.SQLITE_OK)
            connection.execute("ATTACH ? AS own", (PATH,))
            connection.execute("UPDATE own.item SET stock = 0")
            connection.commit()
    """,
    "ATTACH to a connection in memory that was made at import": """
        memory = sqlite3.connect(":memory:", check_same_thread=False)

        def touch():
            memory.execute("ATTACH ? AS own", (PATH,))
            memory.execute("UPDATE own.item SET stock = 0")
            memory.commit()
            memory.execute("DETACH own")
    """,
    "ATTACH at import, to a connection in memory": """
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        with contextlib.suppress(sqlite3.Error):
            memory.execute("ATTACH ? AS own", (PATH,))

        def touch():
            memory.execute("UPDATE own.item SET stock = 0")
            memory.commit()
    """,
    "ATTACH by an engine in memory": """
        def touch():
            with create_engine("sqlite://").connect() as connection:
                connection.exec_driver_sql("ATTACH ? AS own", (PATH,))
                connection.exec_driver_sql("UPDATE own.item SET stock = 0")
                connection.commit()
    """,
    "ATTACH to the checked database": """
        def touch():
            with engine.connect() as connection:
                connection.exec_driver_sql("ATTACH ? AS own", (PATH,))
                connection.exec_driver_sql("UPDATE own.item SET stock = 0")
                connection.commit()
    """,
    "ATTACH on each connect": """
        @event.listens_for(engine, "connect")
        def attach(connection, record):
            connection.execute("ATTACH ? AS own", (PATH,))

        def touch():
            with engine.begin() as connection:
                connection.exec_driver_sql("UPDATE own.item SET stock = 0")
    """,
    "VACUUM INTO from memory": """
        def touch():
            sqlite3.connect(":memory:").execute("VACUUM INTO ?", (PATH,))
    """,
    "VACUUM INTO from the checked database": """
        def touch():
            with engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(f"VACUUM INTO '{PATH}'")
    """,
    "VACUUM INTO its journal": """
        def touch():
            sqlite3.connect(":memory:").execute("VACUUM INTO ?", (PATH + "-journal",))
    """,
    "backup to it": """
        def touch():
            memory = sqlite3.connect(":memory:")
            memory.execute("CREATE TABLE other (id)")
            memory.backup(sqlite3.connect(PATH))
    """,
    "backup from it": """
        def touch():
            with contextlib.closing(sqlite3.connect(PATH)) as own:
                own.backup(sqlite3.connect(":memory:"))
    """,
    "backup of the checked database to it": """
        def impatient(status, remaining, total, rounds=[]):
            rounds.append(status)
            if len(rounds) > 3:
                raise TimeoutError

        def touch():
            with contextlib.closing(engine.raw_connection()) as checked, contextlib.suppress(TimeoutError):
                checked.driver_connection.backup(sqlite3.connect(PATH), progress=impatient, sleep=0.01)
    """,
    "iterdump": """
        def touch():
            with contextlib.closing(sqlite3.connect(PATH)) as own:
                list(own.iterdump())
    """,
    "serialize": """
        def touch():
            with contextlib.closing(sqlite3.connect(PATH)) as own:
                own.serialize()
    """,
    "deserialize": """
        def touch():
            with contextlib.closing(sqlite3.connect(":memory:")) as memory:
                memory.deserialize(pathlib.Path(PATH).read_bytes())
    """,
    "blobopen": """
        def touch():
            with contextlib.closing(sqlite3.connect(PATH)) as own:
                own.blobopen("note", "what", 1)
    """,
}


def openings() -> list[Way]:
    """Return the ways to open the file with a driver."""
    names = {name: f"def connect():\n    return {code}" for name, code in _NAMES.items()}
    read_only = {name: f"def connect():\n    return {code}" for name, code in _READ_ONLY.items()}
    usual = {name: code for name, code in _REFERENCES.items() if name not in _UNUSUAL}
    unusual = {name: code for name, code in _REFERENCES.items() if name in _UNUSUAL}
    found = [
        *_all("reference", usual, _SELLS, COPY, fast=("a default argument",)),
        *_all("reference", unusual, _SELLS, EITHER, fast=("map",)),
        *_all("class", _CLASSES, _SELLS, EITHER, fast=("a subclass called directly",)),
        *_all("name", names, _SELLS, EITHER, fast=("a hard link",)),
        *_all("name", read_only, _LOOKS, EITHER),
        *_all("place", _PLACES, _SELLS, EITHER),
        *_all("engine", _ENGINES, _ORM, EITHER, fast=("with a creator", "whose pool was filled at import")),
        *_all("under the engine", _UNDER_ENGINES, _SELLS, EITHER, fast=("a connection that was made at import",)),
        *_all("asynchronous", _ASYNC, _SELLS, COPY, needs=("aiosqlite",)),
        *_all("asynchronous", _TO_THREAD, _SELLS, COPY),
        *_all("sql", _SQL, _AND_SELLS, EITHER, fast=("ATTACH with a parameter", "VACUUM INTO from memory")),
    ]
    return [_with_needs(way) for way in found]


def _with_needs(way: Way) -> Way:
    return evolve(way, needs=("pysqlite3",)) if "import pysqlite3" in way.shop else way
