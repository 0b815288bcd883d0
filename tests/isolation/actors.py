"""Who may open the application's own file, beside a client in its own code, and in which kind of check."""

from __future__ import annotations

from textwrap import dedent

from tests.isolation.application import COPY, EITHER, End, Way

# --- Loading -----------------------------------------------------------------------------------------

_IMPORT = {
    "the application's module": "touch()",
    "its module, with an engine": """
        with contextlib.suppress(Exception), engine.begin() as connection:
            connection.execute(text("UPDATE item SET stock = 0"))
    """,
    "its module, making its tables": """
        with contextlib.suppress(Exception):
            Base.metadata.create_all(engine)
    """,
    "its module, reading its configuration": """
        with contextlib.closing(sqlite3.connect(PATH)) as connection:
            STOCK = connection.execute("SELECT stock FROM item").fetchone()[0]
    """,
    "its module, keeping a connection": """
        kept = sqlite3.connect(PATH, check_same_thread=False)
        with contextlib.suppress(sqlite3.Error):
            kept.execute("UPDATE item SET stock = 0")
    """,
    "its module, as a file": "HEADER = open(PATH, 'rb').read(16)",
    "its module, by another process": "subprocess.run(['cp', PATH, 'backup.db'])",
    "its module, by a fork": """
        if (child := os.fork()) == 0:
            touch()
            os._exit(0)
        os.waitpid(child, 0)
    """,
    "a decorator": """
        def registered(function):
            touch()
            return function

        sell = registered(sell)
    """,
    "a metaclass": """
        class Meta(type):
            def __init__(cls, *arguments):
                touch()

        class Registered(metaclass=Meta):
            pass
    """,
    "a mapped class, by reflection": """
        from sqlalchemy import MetaData

        with contextlib.suppress(Exception):
            MetaData().reflect(engine)
    """,
}
"""At the end of the application's module."""

_LATER = {
    "a thread of the import": """
        import time

        def later():
            for _ in range(20):
                touch()
                time.sleep(0.02)

        threading.Thread(target=later, daemon=True).start()
    """,
    "a thread of the import that is no daemon": """
        import time

        def later():
            time.sleep(0.2)
            touch()

        threading.Thread(target=later).start()
    """,
    "a timer": """
        timer = threading.Timer(0.1, touch)
        timer.daemon = True
        timer.start()
    """,
    "atexit": """
        import atexit

        atexit.register(touch)
    """,
    "atexit, with an engine": """
        import atexit

        @atexit.register
        def leave():
            with contextlib.suppress(Exception), engine.begin() as connection:
                connection.execute(text("UPDATE item SET stock = 0"))
    """,
    "atexit, as a file": """
        import atexit

        @atexit.register
        def leave():
            open(PATH, "ab").close()
    """,
    "atexit, by another process": """
        import atexit

        atexit.register(subprocess.run, ["cp", PATH, "backup.db"])
    """,
    "a finalizer of a thread pool": """
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)
        threading._register_atexit(touch)
    """,
    "__del__ of a module's object": """
        class Kept:
            def __del__(self, touch=touch):
                touch()

        kept = Kept()
    """,
    "weakref.finalize": """
        import weakref

        finalizer = weakref.finalize(Base, touch)
    """,
    "multiprocessing's finalizers": """
        import multiprocessing.util

        multiprocessing.util.Finalize(None, touch, exitpriority=10)
    """,
    "a callback of the garbage collector": """
        import gc

        gc.callbacks.append(touch)
    """,
    "what is done at each fork": """
        os.register_at_fork(before=touch, after_in_parent=touch, after_in_child=touch)
    """,
    "an alarm": """
        import signal

        signal.signal(signal.SIGALRM, touch)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    """,
    "the death of a child": """
        import signal

        signal.signal(signal.SIGCHLD, touch)
    """,
    "a trace function": """
        def trace(frame, what, argument):
            if frame.f_code.co_name == "sell":
                touch()

        sys.settrace(trace)
        threading.settrace(trace)
    """,
    "an audit hook of its own": """
        def hear(name, arguments):
            if name == "sqlite3.connect/handle" and not getattr(hear, "busy", False):
                hear.busy = True
                touch()
                hear.busy = False

        sys.addaudithook(hear)
    """,
    "an import hook": """
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if not getattr(Finder, "busy", False):
                    Finder.busy = True
                    touch()
                    Finder.busy = False
                return None

        sys.meta_path.insert(0, Finder)
    """,
    "sys.excepthook": """
        def told(*error):
            touch()

        sys.excepthook = told
        threading.excepthook = told
        sys.unraisablehook = told
    """,
    "a stream in place of stdout": """
        class Tee:
            def __init__(self, stream):
                self._stream = stream

            def __getattr__(self, name):
                touch()
                return getattr(self._stream, name)

        sys.stdout = Tee(sys.stdout)
        sys.stderr = Tee(sys.stderr)
    """,
    "a module's __getattr__": """
        def __getattr__(name):
            touch()
            raise AttributeError(name)
    """,
    "an event of all engines": """
        from sqlalchemy import Engine

        event.listen(Engine, "connect", touch)
        event.listen(Engine, "before_cursor_execute", touch)
        event.listen(Engine, "commit", touch)
    """,
    "an event of all pools": """
        from sqlalchemy.pool import Pool

        for name in ("connect", "first_connect", "checkout", "checkin", "reset", "close", "close_detached"):
            event.listen(Pool, name, touch)
    """,
    "an event of all sessions": """
        for name in ("after_begin", "before_flush", "after_commit", "after_rollback"):
            event.listen(Session, name, touch)
    """,
    "an event of a table": """
        event.listen(Base.metadata, "before_create", touch)
        event.listen(Item.__table__, "after_create", touch)
    """,
}
"""At the end of the application's module too; it comes when others run."""

_CLIENT = {
    "a thread that nobody waits for": """
        def sell():
            threading.Thread(target=touch).start()
            return plainly()
    """,
    "a thread that nobody waits for, later": """
        import time

        def later():
            time.sleep(0.05)
            touch()

        def sell():
            threading.Thread(target=later, daemon=True).start()
            return plainly()
    """,
    "a thread pool that stays": """
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(2)

        def sell():
            pool.submit(touch)
            return plainly()
    """,
    "a thread pool that is waited for": """
        from concurrent.futures import ThreadPoolExecutor

        def sell():
            with ThreadPoolExecutor(1) as pool:
                pool.submit(touch).result()
            return plainly()
    """,
    "asyncio.to_thread": """
        import asyncio

        def sell():
            asyncio.run(asyncio.to_thread(touch))
            return plainly()
    """,
    "_thread": """
        import _thread

        def sell():
            _thread.start_new_thread(touch, ())
            return plainly()
    """,
    "atexit": """
        import atexit

        def sell():
            atexit.register(touch)
            return plainly()
    """,
    "__del__ of what is returned": """
        class Seen(int):
            def __del__(self):
                touch()

        def sell():
            return Seen(plainly())
    """,
    "__del__ of what is in a cycle": """
        class Seen:
            def __del__(self):
                touch()

        def sell():
            seen = Seen()
            seen.itself = seen
            return plainly()
    """,
    "a generator's close": """
        def selling():
            try:
                yield plainly()
            finally:
                touch()

        def sell():
            return next(selling())
    """,
    "a generator that is returned": """
        def selling():
            try:
                yield 1
            finally:
                touch()

        def sell():
            plainly()
            kept = selling()
            next(kept)
            sys.kept = kept
            return None
    """,
    "weakref.finalize": """
        import weakref

        def sell():
            seen = type("Seen", (), {})()
            weakref.finalize(seen, touch)
            return plainly()
    """,
    "a signal's handler": """
        import signal

        def sell():
            signal.signal(signal.SIGUSR1, touch)
            os.kill(os.getpid(), signal.SIGUSR1)
            return plainly()
    """,
    "a handler of logs": """
        import logging

        class ToDatabase(logging.Handler):
            def emit(self, record):
                touch()

        logging.getLogger("shop").addHandler(ToDatabase())

        def sell():
            logging.getLogger("shop").warning("sold")
            return plainly()
    """,
    "warnings.showwarning": """
        import warnings

        def sell():
            warnings.showwarning = touch
            warnings.warn("sold", stacklevel=2)
            return plainly()
    """,
    "a lazy attribute of a module": """
        def __getattr__(name):
            if name == "lazy":
                touch()
                return 1
            raise AttributeError(name)

        def sell():
            sys.modules[__name__].lazy
            return plainly()
    """,
    "a module that is imported late": """
        pathlib.Path("late.py").write_text("import shop\\nshop.touch()\\n")

        def sell():
            import late
            return plainly()
    """,
    "repr of what is returned": """
        class Seen(int):
            def __repr__(self):
                touch()
                return "seen"

            __str__ = __format__ = lambda self, *_: repr(self)

        def sell():
            return Seen(plainly())
    """,
    "comparing what is returned": """
        class Seen(int):
            def __eq__(self, other):
                touch()
                return int(self) == int(other)

            __hash__ = int.__hash__

            def __le__(self, other):
                touch()
                return int(self) <= int(other)

        def sell():
            return Seen(plainly())
    """,
    "copying what is returned": """
        class Seen(int):
            def __deepcopy__(self, memory):
                touch()
                return self

        def sell():
            return Seen(plainly())
    """,
    "pickling and unpickling what is returned": """
        def seen(value):
            touch()
            return Seen(value)

        class Seen(int):
            def __reduce__(self):
                touch()
                return seen, (int(self),)

        def sell():
            return Seen(plainly())
    """,
    "a registered reducer": """
        import copyreg

        class Seen(int):
            pass

        def reduced(value):
            touch()
            return int, (int(value),)

        copyreg.pickle(Seen, reduced)

        def sell():
            return Seen(plainly())
    """,
    "the text of what is raised": """
        class ShopError(Exception):
            def __str__(self):
                touch()
                return "sold out"

        def sell():
            if plainly() < 10:
                raise ShopError
            return 10
    """,
    "a function of SQL": """
        def noted(value):
            touch()
            return value

        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.create_function("noted", 1, noted)

        def sell():
            with engine.begin() as connection:
                connection.exec_driver_sql("SELECT noted(stock) FROM item").all()
            return plainly()
    """,
    "a collation": """
        def compare(one, other):
            touch()
            return (one > other) - (one < other)

        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.create_collation("noted", compare)

        def sell():
            with engine.begin() as connection:
                connection.exec_driver_sql("SELECT 'a' < 'b' COLLATE noted").all()
            return plainly()
    """,
    "an aggregate": """
        class Sum:
            def __init__(self):
                self.sum = 0

            def step(self, value):
                touch()
                self.sum += value

            def finalize(self):
                touch()
                return self.sum

        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.create_aggregate("noted", 1, Sum)

        def sell():
            with engine.begin() as connection:
                connection.exec_driver_sql("SELECT noted(stock) FROM item").all()
            return plainly()
    """,
    "a row factory": """
        def made(cursor, row):
            touch()
            return row

        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.row_factory = made
    """,
    "a text factory": """
        def made(value):
            touch()
            return value.decode()

        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.text_factory = made

        def sell():
            with engine.begin() as connection:
                connection.exec_driver_sql("SELECT 'x'").all()
            return plainly()
    """,
    "an adapter": """
        class Number:
            def __conform__(self, protocol):
                touch()
                return 1

        def sell():
            with engine.begin() as connection:
                connection.exec_driver_sql("SELECT * FROM item WHERE id = ?", (Number(),)).all()
            return plainly()
    """,
    "a converter": """
        def convert(value):
            touch()
            return int(value)

        sqlite3.register_converter("INTEGER", convert)
        engine = create_engine("sqlite:///" + PATH, connect_args={"detect_types": sqlite3.PARSE_DECLTYPES})
    """,
    "a trace callback": """
        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.set_trace_callback(touch)
    """,
    "a progress handler": """
        @event.listens_for(engine, "connect")
        def register(connection, record):
            connection.set_progress_handler(touch, 1)
    """,
    "a type's bind processor": """
        from sqlalchemy import Integer, TypeDecorator, bindparam

        class Noted(TypeDecorator):
            impl = Integer
            cache_ok = True

            def process_bind_param(self, value, dialect):
                touch()
                return value

        def sell():
            with engine.begin() as connection:
                connection.execute(text("SELECT :x").bindparams(bindparam("x", 1, Noted))).all()
            return plainly()
    """,
    "rows that are drawn while they are written": """
        def rows():
            touch()
            yield ("sold",)

        def sell():
            with contextlib.closing(engine.raw_connection()) as raw:
                raw.cursor().executemany("INSERT INTO note (what) VALUES (?)", rows())
                raw.commit()
            return plainly()
    """,
    "a client that raises": """
        def sell():
            plainly()
            touch()
            raise ValueError("sold out")
    """,
    "a client that ends its process": """
        def sell():
            plainly()
            touch()
            sys.exit(0)
    """,
}
"""Within what a client does."""

_CHECKED = {
    "the scenario's module": ("shop.touch()", ""),
    "the scenario's module, at its end": ("", "shop.touch()"),
    "the schema": (
        """
        def schema(engine):
            shop.Base.metadata.create_all(engine)
            shop.touch()
        """,
        "",
    ),
    "a schema in the driver's words": (
        """
        def schema(engine):
            with contextlib.closing(sqlite3.connect(PATH)) as connection:
                connection.executescript(
                    "DROP TABLE IF EXISTS item; CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL)"
                )
        """,
        "",
    ),
    "a schema by a process": (
        """
        def schema(engine):
            shop.Base.metadata.create_all(engine)
            subprocess.run([sys.executable, "-c", f"open({PATH!r}, 'wb')"])
        """,
        "",
    ),
    "the seed": (
        """
        plain_seed = seed

        def seed(engine):
            plain_seed(engine)
            shop.touch()
        """,
        "",
    ),
    "a seed that ignores its engine": (
        """
        def seed(engine):
            shop.Base.metadata.drop_all(shop.engine)
            shop.Base.metadata.create_all(shop.engine)
            with shop.Session(shop.engine) as session, session.begin():
                session.add(shop.Item(id=1, stock=10))
        """,
        "",
    ),
    "a seed that copies the file": (
        """
        plain_seed = seed

        def seed(engine):
            with contextlib.closing(sqlite3.connect(PATH)) as own:
                own.execute("SELECT count(*) FROM item").fetchall()
            open(PATH, "rb").read(16)
            plain_seed(engine)
        """,
        "",
    ),
    "a predicate": (
        """
        plain_private = private

        def private(view):
            shop.touch()
            return plain_private(view)
        """,
        "",
    ),
    "a predicate, with an engine": (
        """
        plain_private = private

        def private(view):
            with contextlib.suppress(Exception), shop.engine.begin() as connection:
                connection.execute(text("UPDATE item SET stock = 0"))
            return plain_private(view)
        """,
        "",
    ),
    "a predicate, as a file": (
        """
        plain_private = private

        def private(view):
            open(PATH, "rb").read(16)
            return plain_private(view)
        """,
        "",
    ),
    "a predicate that raises": (
        """
        def private(view):
            shop.touch()
            raise RuntimeError("the predicate is broken")
        """,
        "",
    ),
    "a continuation": (
        """
        def later():
            shop.touch()
            return 0

        def private(view):
            view.then(later)
            return all(seen <= 10 for seen in view.returned().values())
        """,
        "",
    ),
    "a continuation over the driver": (
        """
        def private(view):
            end = view.then(lambda: shop.sell_through(lambda: sqlite3.connect(PATH)))
            return getattr(end, "value", 0) <= 10
        """,
        "",
    ),
    "a client's object": (
        """
        class Seller:
            def __call__(self):
                shop.touch()
                return shop.sell()

            def __eq__(self, other):
                shop.touch()
                return self is other

            def __hash__(self):
                shop.touch()
                return 1

            def __repr__(self):
                shop.touch()
                return "a seller"

        sell = Seller()
        """,
        "",
    ),
    "a client's module": (
        """
        def sell():
            import sqlite3
            return shop.sell_through(lambda: sqlite3.connect(PATH))
        """,
        "",
    ),
}
"""In the scenario's module: before the scenario, and after it."""


def actors() -> list[Way]:
    """Return who may open the file."""
    found: list[Way] = []
    for name, code in _IMPORT.items():
        found.append(Way(f"import: {name}", shop=_code(code), unheard=True, fast=name.startswith("the ")))
    for name, code in _LATER.items():
        fast = name in {"atexit", "a thread of the import", "what is done at each fork"}
        found.append(Way(f"later: {name}", shop=_code(code), unheard=True, fast=fast))
    for name, code in _CLIENT.items():
        fast = name in {
            "a thread that nobody waits for",
            "a function of SQL",
            "pickling and unpickling what is returned",
        }
        found.append(Way(f"client: {name}", shop="\nplainly = sell\n" + _code(code), unheard=True, fast=fast))
    for name, (before, after) in _CHECKED.items():
        ends = COPY if name in {"a seed that ignores its engine", "a client's module"} else EITHER
        fast = name in {"the seed", "a predicate, with an engine"}
        found.append(Way(f"scenario: {name}", before=_code(before), after=_code(after), ends=ends, fast=fast))
    return [*found, *_targets(), *_kinds()]


def _code(text: str) -> str:
    return "\n" + dedent(text).strip() + "\n"


# --- What is named as the target ---------------------------------------------------------------------

_FACTORY = """
def scenarios(stock: int = 10):
    shop.touch()
    return [scenario]


def failing():
    shop.touch()
    raise RuntimeError("no scenario today")


class Lazy:
    def __iter__(self):
        shop.touch()
        return iter([scenario])


lazy = Lazy()


def __getattr__(name):
    shop.touch()
    if name == "absent":
        return scenario
    raise AttributeError(name)
"""


def _targets() -> list[Way]:
    error = frozenset({End.ERROR})
    return [
        Way("target: the application's own function", target="shop:sell", ends=error, fast=True),
        Way("target: a function that opens the file", target="shop:touch", ends=error),
        Way("target: a factory", after=_FACTORY, target="checked:scenarios", arguments=("-p", "stock=9"), fast=True),
        Way("target: a factory that fails", after=_FACTORY, target="checked:failing", ends=error),
        Way("target: what opens it when iterated", after=_FACTORY, target="checked:lazy"),
        Way("target: a module's __getattr__", after=_FACTORY, target="checked:absent"),
        Way("target: a name that is not there", after=_FACTORY, target="checked:nothing", ends=error),
        Way("target: a class that opens it", shop="\n\nclass Own:\n    def __init__(self):\n        touch()\n",
            target="shop:Own", ends=error),
        Way("target: a module that cannot be imported", shop="\ntouch()\nraise RuntimeError('broken')\n", ends=error,
            unheard=True),
    ]  # fmt: skip


# --- In which kind of check --------------------------------------------------------------------------

_OPENS_ALL = """
plainly = sell


def sell():
    touch()
    with contextlib.suppress(OSError):
        open(PATH, "ab").close()
    return plainly()
"""

_OVER_THE_DRIVER = """
def sell(opened=sqlite3.connect):
    return sell_through(lambda: opened(PATH))
"""

PRINTS = '''
"""Prints what was decided as the command line does."""

import json
import sys

import treadle


def tell(decisions):
    properties = [{"name": name, "verdict": verdict} for name, verdict in decisions]
    print(json.dumps({"treadle": "", "results": [{"properties": properties}]}, indent=2))


def ended(error):
    print(f"Error: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(2)

'''
"""The start of a script that checks by itself."""

_SCRIPT = (
    PRINTS
    + """
import checked

try:
    result = treadle.check(checked.scenario, progress=PROGRESS)
except treadle.TreadleError as error:
    ended(error)
tell((item.property.name, item.verdict.value) for item in result.decisions)
"""
)

_MACHINE = (
    PRINTS
    + """
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import checked
from treadle.hypothesis import close_machines, state_machine

try:
    run_state_machine_as_test(
        state_machine(checked.scenario),
        settings=settings(max_examples=50, database=None, derandomize=True, deadline=None),
    )
except treadle.CounterexampleError as error:
    tell([(error.property, "violated")])
except treadle.TreadleError as error:
    ended(error)
else:
    tell([("counts", "holds")])
finally:
    close_machines()
"""
)

_REPLAY = (
    PRINTS
    + """
import subprocess

import shop
import checked

plain = treadle.Scenario(
    "plain",
    checked.scenario.database,
    [treadle.Client(name, shop.plainly) for name in ("Ann", "Bob")],
    checked.scenario.properties,
)
try:
    example = treadle.check(plain)["counts"].counterexample
except treadle.TreadleError as error:
    ended(error)
done = subprocess.run([sys.executable, "-m", "treadle", "replay", example.schedule.token, "checked:scenario"])
if done.returncode in {0, 1}:
    tell([("counts", "violated")])
else:
    sys.exit(done.returncode)
"""
)

_PYTEST = (
    PRINTS
    + """
import pathlib
import subprocess

pathlib.Path("test_shop.py").write_text('''
import checked


def test_shop(treadle):
    treadle.check(checked.scenario)
''')
done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"])
if done.returncode == 0:
    tell([("counts", "violated")])
else:
    print("Error: the test failed, as its report says", file=sys.stderr)
    sys.exit(2)
"""
)


def _kinds() -> list[Way]:
    found = []
    for name, arguments in {
        "exhaustive": (),
        "two workers": ("--workers", "2"),
        "live": ("--live",),
        "no reduction": ("--no-reduction",),
        "random": ("--search", "random", "--max-executions", "30"),
        "pct": ("--search", "pct", "--max-executions", "30"),
        "many challenges": ("--challenge", "0,40"),
        "faults": ("--faults", "locked=1,crash=1"),
        "a report": ("--report", "report"),
        "a bound": ("--max-states", "5"),
    }.items():
        fast = name == "two workers"
        ends = EITHER if name == "a bound" else COPY
        found += [
            Way(f"kind: {name}, over the driver", shop=_OVER_THE_DRIVER, arguments=arguments, ends=ends, fast=fast),
            Way(f"kind: {name}, in all ways", shop=_OPENS_ALL, arguments=arguments),
        ]
    scripts = {
        "treadle.check": _SCRIPT.replace("PROGRESS", "None"),
        "treadle.check, told how far it is": _SCRIPT.replace("PROGRESS", "checked.touch"),
        "a Hypothesis machine": _MACHINE,
        "a replay": _REPLAY,
        "the fixture": _PYTEST,
    }
    for name, script in scripts.items():
        fast = name in {"a Hypothesis machine", "the fixture"}
        driver = "\nplainly = sell\n" + _OVER_THE_DRIVER
        found += [
            Way(f"kind: {name}, over the driver", shop=driver, script=script, ends=COPY, fast=fast),
            Way(f"kind: {name}, in all ways", shop=_OPENS_ALL, script=script, unheard=True),
        ]
    return found
