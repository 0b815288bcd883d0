"""The server of the page: on this machine alone, for whoever has the secret in its address.

::

    browser ──HTTP──▶ a thread of the server ──what is asked──▶ the main thread, which has clients and databases
                                             ◀──────page─────── one request after the other

Clients are forked from the main thread, and Ctrl-C reaches it; no other thread touches anything of Treadle's.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from attrs import define, field
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from treadle.exploring.learned import Learned
from treadle.exploring.page import Addresses, render_error, render_position
from treadle.exploring.stepping import after, find, position
from treadle.values.display import quoted
from treadle.values.errors import ScheduleMismatchError, TreadleError, UsageError
from treadle.values.schedule import BARE_VERSION, Choice, Schedule, Step
from treadle.values.schedule import position as position_of

HOST = "127.0.0.1"

_SECRET_BYTES = 16

_PULSE_S = 0.1
"""How often the main thread looks up where nothing is asked of it, in seconds."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_RULES = Map(
    [
        Rule("/<secret>/", endpoint="start"),
        Rule("/<secret>/<token>", endpoint="position"),
        Rule("/<secret>/<token>/find", endpoint="find"),
        Rule("/<secret>/<token>/<choice>", endpoint="after"),
    ],
    strict_slashes=False,  # or a path without the secret would be told of one with a slash
)


class _Handler(WSGIRequestHandler):
    """Answers one request on a connection, and logs none."""

    protocol_version = "HTTP/1.0"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # Werkzeug's name
        """Say nothing: the address has the secret in it."""


@define
class Desk:
    """Where threads leave what they want to have done, and one does it.

    Attributes:
        say: is told of what nobody had thought of.
    """

    say: Callable[[str], None]
    _asked: SimpleQueue[tuple[Callable[[], str], Future[str]]] = field(factory=SimpleQueue, init=False)

    def ask(self, work: Callable[[], str]) -> str:
        """Have something done, and return what comes of it, or raise what is raised there."""
        answer: Future[str] = Future()
        self._asked.put((work, answer))
        return answer.result()

    def serve(self) -> None:
        """Do what is asked for, until Ctrl-C."""
        while True:
            try:
                work, answer = self._asked.get(timeout=_PULSE_S)
            except Empty:  # a thread that sleeps on would not notice Ctrl-C where it reaches another thread first
                continue
            try:
                answer.set_result(work())
            except TreadleError as error:
                answer.set_exception(error)
            # A schema, a seed or a client's set-up may raise anything; the next request may fare better.
            except Exception as error:  # noqa: BLE001
                self.say(traceback.format_exc().rstrip())
                answer.set_exception(error)
            except BaseException:
                answer.set_exception(TreadleError("treadle explore was ended meanwhile. Start it again."))
                raise


@define
class Explorer:
    """The pages of one scenario, as a WSGI application.

    Attributes:
        learned: the scenario.
        desk: where it is asked.
        replay: returns the command that replays a token.
        secret: without which no address leads to a page.
    """

    learned: Learned
    desk: Desk
    replay: Callable[[str], str]
    secret: str = field(factory=lambda: secrets.token_urlsafe(_SECRET_BYTES))

    @property
    def _addresses(self) -> Addresses:
        return Addresses(f"/{self.secret}")

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer a request."""
        request = Request(environ)
        request.trusted_hosts = [HOST, "localhost"]
        try:
            request.host  # noqa: B018  # raises where a name of somebody else's leads here
            response = self._answer(request)
        except HTTPException as error:
            response = Response(f"{error.code} {error.name}\n", status=error.code)
        response.headers.update(_HEADERS)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        endpoint, given = _RULES.bind_to_environ(request.environ).match(method="GET")
        if not secrets.compare_digest(given["secret"].encode(), self.secret.encode()):
            raise NotFound
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed
        try:
            if endpoint == "start" or "at" in request.args:
                return self._redirect(Schedule.parse(request.args.get("at", BARE_VERSION)))
            schedule = Schedule.parse(given["token"])
            if endpoint == "after":
                choice, whole = _choice(given["choice"])
                token = self.desk.ask(lambda: str(after(self.learned, schedule, choice, whole=whole)))
                return self._redirect(Schedule.parse(token))
            return self._page(self.desk.ask(lambda: self._position(schedule, searches=endpoint == "find")))
        except UsageError as error:
            return self._page(render_error(error, self._addresses), status=400)
        except Exception as error:  # noqa: BLE001  # whatever it is: the main thread has told of it
            return self._page(render_error(error, self._addresses), status=500)

    def _position(self, schedule: Schedule, *, searches: bool) -> str:
        at = position(self.learned, schedule)
        found = find(self.learned, Schedule(at.trace.schedule.choices)) if searches else None
        command = self.replay(at.trace.schedule.token)
        return render_position(self.learned.scenario, at, self._addresses, command, found)

    def _redirect(self, schedule: Schedule) -> Response:
        address = self._addresses
        # With its digests, an address that was given tells whether all is as it was.
        return redirect(f"{address.root}/{schedule}" if schedule.digests else address.of(schedule), code=303)

    @staticmethod
    def _page(text: str, status: int = 200) -> Response:
        return Response(text, status=status, mimetype="text/html")


def _choice(text: str) -> tuple[Choice, bool]:
    """Return the choice that is spelled, and whether a step goes on to where others could come in between.

    Raises:
        ScheduleMismatchError: none is.
    """
    if text.isascii() and text.isalpha() and text.isupper() and len(text) <= 4:  # noqa: PLR2004  # as in a token
        return Step(position_of(text)), True
    (choice,) = Schedule.parse(f"{BARE_VERSION}.{text}").choices or (None,)
    if choice is None or (isinstance(choice, Step) and choice.operations != 1):
        raise ScheduleMismatchError(f"{quoted(text)} is not one choice. Choose one of those that the page offers.")
    return choice, False


@contextlib.contextmanager
def served(explorer: Explorer) -> Iterator[str]:
    """Serve in threads of their own, at a port that is free, and provide the address."""
    server = make_server(HOST, 0, explorer, threaded=True, request_handler=_Handler)
    thread = threading.Thread(target=server.serve_forever, name="treadle explore", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.port}/{explorer.secret}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
