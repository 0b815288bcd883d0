"""What ``--report`` writes about one violated property: each file is enough by itself, whatever names have in them."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.report import bank
from tests.report.examples import ALL_OR_NOTHING, NEVER_PARTIAL, Script, appears, orphan, result, violated
from tests.report.hostile import unseen
from treadle.checking import check, replay
from treadle.report.directory import Directory
from treadle.report.markdown import code, escaped, fenced, render_markdown, said
from treadle.report.perfetto import build_perfetto, render_perfetto
from treadle.report.regression import render_regression
from treadle.report.reproduction import UnreproducibleError, literal, render_reproduction
from treadle.report.tokens import read_tokens
from treadle.report.tracefile import Around, Case, build_trace, cases_in, plain, read_trace, render_trace, value_of
from treadle.report.webpage import render_webpage
from treadle.targets import resolve
from treadle.values.errors import UsageError
from treadle.values.fault import Fault
from treadle.values.operation import Kind
from treadle.values.outcome import Crashed, Raised
from treadle.values.property import Breach
from treadle.values.trace import Setting

SCHEMA = Path(__file__).parents[2] / "docs" / "_static" / "trace-v1.schema.json"
SETTING = Setting(
    "wal", "legacy", "sqlite3", "3.40.1", "2.1.0", "3.11.7", ("CREATE TABLE t (id INTEGER PRIMARY KEY);",)
)
WILD = "</script><b>x</b> ``` | `a` \u202e\x1b[31m {{ 7 * 7 }} ]]> --> & \" '"


@pytest.fixture(scope="module")
def case() -> Case:
    """Return the lost update of the bank, as a check finds it."""
    (found,) = cases_in(check(bank.surprising(), challenges=0, challenge=0.0))
    return found


def wild() -> Case:
    """Return a case in which names, rows and reasons have whatever they like in them."""
    script = Script(clients=(WILD, "B"))
    row = {"id": WILD, WILD: WILD}
    script.run(0, f"INSERT INTO t VALUES ('{WILD}')", (WILD,), 1, changes=(appears(WILD, row),))
    trace = evolve(script.trace("t1.A1", {ALL_OR_NOTHING.name: (Breach(WILD, [(WILD, row)]),)}), setting=SETTING)
    decision = violated(ALL_OR_NOTHING, trace)
    assert decision.counterexample is not None
    example = evolve(decision.counterexample, why=WILD)
    return Case(WILD, evolve(decision, counterexample=example), example)


def crashed() -> Case:
    """Return a case in which one client dies, and another one raises."""
    script = Script(clients=("A", "B"))
    script.start(0)
    script.add(0, None, fault=Fault.CRASH, outcome=Crashed())
    script.run(1, "UPDATE t SET a = :a", {"a": 2**70, "b": b"\x00"}, 3, outcome=Raised(LookupError("gone: there\n")))
    decision = violated(ALL_OR_NOTHING, script.trace("t1.A1.A-crash.B1"))
    assert decision.counterexample is not None
    return Case("crashed", decision, decision.counterexample)


class TestTrace:
    def test_has_all_that_happened(self, case: Case) -> None:
        """Each event, with the application's line, and what makes the database again."""
        document = json.loads(render_trace(case))
        assert [event.number for event in case.trace.events] == [event["number"] for event in document["events"]]
        assert "tests/report/bank.py" == document["events"][3]["source"]["file"]
        assert any(line.startswith("INSERT INTO") for line in document["setting"]["dump"])

    def test_leads_to_its_token(self, case: Case) -> None:
        """So that replay takes it."""
        (token,) = read_tokens(render_trace(case))
        assert (case.trace.schedule.token, "bank/surprising") == (token.text, token.scenario)

    def test_keeps_to_its_schema(self, case: Case) -> None:
        """Whatever is in it."""
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        for one in (case, wild(), Case("s", violated(NEVER_PARTIAL, orphan()), case.counterexample)):
            document = json.loads(render_trace(one))
            assert [] == faults(document, schema, schema)
            assert [] != faults({**document, "more": 1}, schema, schema)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, 1),
            (b"\x00\xff", {"blob": "00ff"}),
            (float("inf"), {"real": "inf"}),
            ("caf\udce9", {"text": "636166e9"}),
            ((None, True, 1.5), [None, True, 1.5]),
            ({"a": 1}, {"named": {"a": 1}}),
            (2**70, {"opaque": str(2**70)}),
        ],
    )
    def test_spells_values(self, value: object, expected: object) -> None:
        """What JSON has no spelling for is an object."""
        assert expected == plain(value)


class TestReadTrace:
    @pytest.fixture(scope="class")
    @staticmethod
    def checked() -> list[Case]:
        """Return the counterexamples of some of the project's own systems."""
        names = {"create-backfill/shipped-3.2.2", "outbox/buggy", "write-skew/buggy"}
        found = resolve(["properties.backfill:scenarios", "properties.systems:scenarios"], {})
        kept = [one.scenario for one in found if one.scenario.name in names]
        return [case for one in kept for case in cases_in(check(one, challenges=0, challenge=0.0, until_violated=True))]

    def again(self, case: Case, tmp_path: Path) -> None:
        """Write a case, read its trace, write that, and compare."""
        around = Around("treadle replay TOKEN", keeps=("a", "b"))
        first = Directory(tmp_path / "first").write_case(case, around)
        second = Directory(tmp_path / "second").write_case(*read_trace((first / "trace.json").read_text("utf-8")))
        written = {path.name: path.read_bytes() for path in first.iterdir()}
        assert len(written) >= 3
        assert written == {path.name: path.read_bytes() for path in second.iterdir()}

    def test_makes_the_same_reports_again(self, checked: list[Case], tmp_path: Path) -> None:
        """All files but the one that needs the application, byte for byte."""
        assert len(checked) >= 3
        for number, case in enumerate(checked):
            self.again(case, tmp_path / str(number))

    def test_makes_the_same_of_anything(self, case: Case, tmp_path: Path) -> None:
        """Whatever is in names and rows, and however clients end."""
        (ended,) = cases_in(result(violated(ALL_OR_NOTHING, orphan())))
        for one in (case, wild(), ended, crashed()):
            self.again(one, tmp_path / one.scenario[:4].strip("</"))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"events": [{"number": "1"}]}, r"\$\.events\[0\]"),
            ({"more": 1}, "more"),
            ({"version": 2}, "version"),
            ({"format": "other"}, "format"),
            ({"schedule": "t1.?"}, "token"),
            ({"clients": []}, "client 0"),
            ({"outcomes": {"A": "vanished"}}, "vanished"),
            ({"property": None}, "property"),
        ],
    )
    def test_refuses_what_is_malformed(self, change: dict[str, Any], said: str) -> None:
        """One error says where, and what there should be."""
        document = {**build_trace(wild()), **change}
        with pytest.raises(UsageError, match=said):
            read_trace(json.dumps(document))

    @pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "3"])
    def test_refuses_what_is_no_trace(self, text: str) -> None:
        """Likewise."""
        with pytest.raises(UsageError, match="no trace"):
            read_trace(text)

    @pytest.mark.parametrize("value", [1, -0.5, None, True, b"\x00", "caf\udce9", (1, ("a",)), {"a": (b"b",)}])
    def test_spells_values(self, value: object) -> None:
        """What is written is read as it was."""
        assert value == value_of(plain(value))


def faults(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """Return how a value breaks a schema; of JSON Schema, what that one uses."""
    if "$ref" in schema:
        return faults(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        return [] if any(not faults(value, one, whole) for one in schema["anyOf"]) else [f"{value!r}: {schema}"]
    found = []
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        found.append(f"{value!r}: {schema}")
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "integer": int,
        "number": (int, float),
    }
    named = schema.get("type", [])
    wanted = [named] if isinstance(named, str) else named
    if wanted and not any(isinstance(value, kinds[kind]) for kind in wanted):  # type: ignore[arg-type]  # types, or some
        found.append(f"{value!r} is no {wanted}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{key} is missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            more = known.get(key, schema.get("additionalProperties", {}))
            found += [f"{key} is unknown"] if more is False else faults(item, more, whole)
    if isinstance(value, list) and "items" in schema:
        found += [fault for item in value for fault in faults(item, schema["items"], whole)]
    return found


class TestReproduction:
    def run(self, text: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
        """Run a script in an empty environment."""
        path = tmp_path / "reproduce.py"
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-I", "-S", str(path)]
        return subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False, timeout=60)

    def test_ends_with_the_violation(self, case: Case, tmp_path: Path) -> None:
        """It needs Python alone, prints what happens, and leaves nothing."""
        done = self.run(render_reproduction(case), tmp_path)
        assert (1, "") == (done.returncode, done.stderr)
        assert "VIOLATED  no-lost-update: every withdrawal counts\n" in done.stdout
        assert "bank.py:28" in done.stdout
        assert ["reproduce.py"] == [path.name for path in tmp_path.iterdir()]

    @pytest.mark.parametrize(
        ("was", "becomes"), [("rows=[(100,)]", "rows=[(101,)]"), ("'balance': 89", "'balance': 90")]
    )
    def test_says_when_something_else_happens(self, was: str, becomes: str, case: Case, tmp_path: Path) -> None:
        """Another result, or other rows in the end, reproduce nothing."""
        text = render_reproduction(case)
        assert was in text
        done = self.run(text.replace(was, becomes), tmp_path)
        assert 2 == done.returncode
        assert "NOT REPRODUCED" in done.stdout

    def test_an_outside_lock_is_really_held(self, tmp_path: Path) -> None:
        """By another connection, for as long as the call takes that it is to refuse."""
        scenario = bank.bank("outside", bank.read_then_write, clients=1)
        trace = replay(scenario, "t1.A6.A-locked.A9")
        decision = violated(ALL_OR_NOTHING, trace)
        assert decision.counterexample is not None
        text = render_reproduction(Case("s", decision, decision.counterexample))
        assert "busy='outside', held='none'" in text
        done = self.run(text, tmp_path)
        assert (1, "") == (done.returncode, done.stderr)
        assert "OperationalError: database is locked" in done.stdout

    def test_is_harmless(self) -> None:
        """Whatever is in rows and names is data in it."""
        text = render_reproduction(wild())
        compile(text, "reproduce.py", "exec")
        assert set() == unseen(text)

    def test_says_what_it_cannot_do(self) -> None:
        """There is no script then, and the report says why."""
        script = Script()
        script.add(0, Kind.CONFIGURE, arguments=("create_collation", "own", "x"))
        trace = evolve(script.trace("t1.A1"), setting=SETTING)
        decision = violated(ALL_OR_NOTHING, trace)
        assert decision.counterexample is not None
        with pytest.raises(UnreproducibleError, match="given code"):
            render_reproduction(Case("s", decision, decision.counterexample))

    @pytest.mark.parametrize("value", [None, True, 7, 1.5, "é\n", b"\x00", (1,), (), [2], {"a": None}])
    def test_spells_values(self, value: object) -> None:
        """As Python does, in ASCII."""
        assert value == eval(literal(value))  # noqa: S307  # it is what this is about
        assert literal(value).isascii()


class TestMarkdown:
    def test_has_what_a_tracker_needs(self, case: Case) -> None:
        """Expected and got, the story, a diagram, the rows, how to do it again, and everything folded."""
        text = render_markdown(case, Around("treadle replay TOKEN", keeps=("bank/fixed",)))
        for wanted in (
            "# bank/surprising breaks no-lost-update\n",
            "| Expected | every withdrawal counts |",
            "| Got | the balance is 89, and should be 77 |",
            "```mermaid\nsequenceDiagram\n",
            "| 17 | `1` | `89` |",
            "The property holds in: `bank/fixed`.",
            "    treadle replay TOKEN\n",
            "<details><summary>",
        ):
            assert wanted in text

    def test_is_harmless(self) -> None:
        """Nothing in a name or a row is markup, ends a block, or acts."""
        text = render_markdown(wild(), Around(WILD))
        assert set() == unseen(text)
        outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
        outside = re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", outside)
        outside = re.sub(r"^    .*$", "", outside, flags=re.MULTILINE)
        assert "<b>" not in outside

    def test_fits_into_a_tracker(self) -> None:
        """Whatever the length of the trace."""
        script = Script()
        for number in range(2_000):
            script.run(number % 2, f"INSERT {number}", changes=(appears("item", {"id": number}),))
        decision = violated(ALL_OR_NOTHING, script.trace("t1.A1"))
        assert decision.counterexample is not None
        text = render_markdown(Case("s", decision, decision.counterexample), Around())
        assert len(text) < 65_536
        assert "2,000 operations: too many for an issue tracker" in text

    def test_quotes(self) -> None:
        """By the rules of each place."""
        assert r"a\*b &lt;c&gt; \`" == escaped("a*b <c> `")
        assert "`` a`b\\|c ``" == code("a`b|c")
        assert ["````text", "```", "````"] == fenced("text", ["```"])
        assert "a#59; b#35;" == said("a; b#")


class TestWebpage:
    def test_has_lanes_steps_and_rows(self, case: Case) -> None:
        """All that a page needs is in it, and nothing comes from elsewhere."""
        text = render_webpage(case, Around("treadle replay TOKEN"))
        assert case.trace.schedule.token in text
        assert 6 == text.count('<li class="entry"')
        assert [] == re.findall(r"""(?:src|href)=|https?://|@import|url\(""", text)

    def test_tells_the_rows_at_each_step(self, case: Case) -> None:
        """What is committed at first and after each entry, of what changes at all; each table once."""
        text = render_webpage(case, Around())
        found = re.search(r'id="states">(.*?)</script>', text)
        assert found is not None
        states = json.loads(found[1])
        balances = [states["tables"][place]["rows"][0]["values"][1] for (place,) in states["steps"]]
        assert ["100", "100", "100", "100", "88", "88", "89"] == balances
        assert 2 + 2 == len(states["tables"])  # with 88 and 89, each is marked as new where it is

    def test_is_harmless(self) -> None:
        """Every value is text: none makes an element, or ends the script."""
        text = render_webpage(wild(), Around(WILD))
        assert set() == unseen(text)

        class Elements(html.parser.HTMLParser):
            def __init__(self) -> None:
                super().__init__()
                self.names: list[str] = []

            def handle_starttag(self, tag: str, attrs: object) -> None:
                self.names.append(tag)

        elements = Elements()
        elements.feed(text)
        assert ("b" in elements.names, 2) == (False, elements.names.count("script"))
        assert "{{ 7 * 7 }}" in text


class TestPerfetto:
    def test_has_a_track_for_each_client(self, case: Case) -> None:
        """With a slice for each operation, and instants for what is committed, refused and ended."""
        events = build_perfetto(case)["traceEvents"]
        named = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
        assert ["A · atm-1", "B · atm-2"] == named
        slices = [event for event in events if event["ph"] == "X"]
        assert [event.number for event in case.trace.events] == [event["ts"] for event in slices]
        kinds = [event["cat"] for event in events if event["ph"] == "i"]
        assert ["commit", "end"] * 2 == kinds

    def test_a_client_waits_until_it_goes_on(self) -> None:
        """Its slice lasts as long."""
        trace = replay(bank.bank("waiting", bank.one_statement), "t1.A4.B4.A9")
        decision = violated(ALL_OR_NOTHING, trace)
        assert decision.counterexample is not None
        (waiting,) = [event for event in trace.events if event.waits]
        events = build_perfetto(Case("s", decision, decision.counterexample))["traceEvents"]
        (shown,) = [event for event in events if event["ph"] == "X" and event["ts"] == waiting.number]
        assert 3 == shown["dur"]  # until the end, after the two operations of the other client
        assert "waits" in [event.get("cat") for event in events]

    def test_is_as_the_format_wants_it(self, case: Case) -> None:
        """Whatever is in it: whole times, known tracks, slices that do not overlap, and texts that do nothing."""
        (ended,) = cases_in(result(violated(ALL_OR_NOTHING, orphan())))
        for one in (case, wild(), ended, crashed()):
            text = render_perfetto(one)
            assert set() == unseen(text)
            events = json.loads(text)["traceEvents"]
            tracks = {event["tid"] for event in events if event["name"] == "thread_name"}
            ends = dict.fromkeys(tracks, 0)
            for event in events:
                assert {"ph", "pid", "name"} <= event.keys()
                assert len(event["name"]) <= 200
                if event["ph"] == "M":
                    continue
                assert event["ph"] in {"X", "i"}
                assert event["tid"] in tracks
                assert type(event["ts"]) is int
                if event["ph"] == "X":
                    assert event["dur"] >= 1
                    assert event["ts"] >= ends[event["tid"]]
                    ends[event["tid"]] = event["ts"] + event["dur"]


class TestRegression:
    def test_fails_until_it_is_fixed(self, case: Case, tmp_path: Path) -> None:
        """On the code that breaks it; on other code, it checks the property."""
        for target, scenario, expected in (
            (f"{bank.__name__}:surprising", "bank/surprising", 1),
            (f"{bank.__name__}:fixed", "bank/fixed", 0),
        ):
            text = render_regression(evolve(case, scenario=scenario), target, {})
            (tmp_path / "test_it.py").write_text(text, encoding="utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_it.py")]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            assert expected == done.returncode, done.stdout

    def test_is_harmless(self) -> None:
        """Whatever names have in them."""
        text = render_regression(wild(), WILD, {"a": WILD})
        compile(text, "test_regression.py", "exec")
        assert set() == unseen(text)


class TestDirectory:
    def test_has_all_files_of_a_case(self, case: Case, tmp_path: Path) -> None:
        """In a directory for each property."""
        where = Directory(tmp_path).write_case(case, Around(), "m:x")
        assert tmp_path / "bank-surprising" / "no-lost-update" == where
        names = ["report.md", "reproduce.py", "test_regression.py", "timeline.html", "trace.json"]
        names.append("trace.perfetto.json")
        assert names == sorted(path.name for path in where.iterdir())

    def test_says_why_there_is_no_script(self, tmp_path: Path) -> None:
        """In the report."""
        decision = violated(ALL_OR_NOTHING, orphan())
        (found,) = cases_in(result(decision))
        where = Directory(tmp_path).write_case(found, Around())
        names = ["report.md", "timeline.html", "trace.json", "trace.perfetto.json"]
        assert names == sorted(path.name for path in where.iterdir())
        assert "There is no script for Python alone" in (where / "report.md").read_text(encoding="utf-8")


def test_cases_name_what_the_same_schedule_breaks() -> None:
    """Each has the others with it."""
    one, two = cases_in(result(violated(ALL_OR_NOTHING, orphan()), violated(NEVER_PARTIAL, orphan())))
    assert (["never-partial"], ["all-or-nothing"]) == tuple(
        [other.property.name for other in found.others] for found in (one, two)
    )
    assert "treadle-trace" == build_trace(one)["format"]
