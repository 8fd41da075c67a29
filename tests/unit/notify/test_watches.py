"""Running watches: what is asked, when handlers run, and with what."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.agents import eventually

from regista.notify.watch_definitions import read_watches
from regista.notify.watches import Told, Watches

SCRIPT = """
import os, sys
text = sys.stdin.read()
with open(sys.argv[1], "a") as file:
    file.write(os.environ["CONSUL_INDEX"] + " " + text)
sys.exit(int(sys.argv[2]))
"""


class Door:
    """Answers each question with the next of a list, and then waits for ever."""

    def __init__(self, *answers):
        self.asked = []
        self.is_at_end = asyncio.Event()
        self._answers = list(answers)

    async def __call__(self, target, *, token):
        self.asked.append((target, token))
        if not self._answers:
            self.is_at_end.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        return answer if isinstance(answer, Told) else Told(200, json.dumps(answer[1]).encode(), answer[0])


@contextlib.asynccontextmanager
async def running(door, *definitions):
    """The watches while they run, and what was slept."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)

    async with aiohttp.ClientSession() as session:
        watches = Watches(door, session, sleep=sleep)
        await watches.set(read_watches(("", each) for each in definitions))
        try:
            yield watches, slept
        finally:
            await watches.close()


def script(file, code=0, **fields):
    return {"type": "nodes", "args": [sys.executable, "-c", SCRIPT, str(file), str(code)], **fields}


async def test_a_program_is_run_at_each_change(tmp_path):
    """It gets the JSON and the index; answers that say the same run nothing; each question waits for what is next."""
    door = Door((5, ["a"]), (6, ["a"]), (7, ["é"]))
    async with running(door, script(tmp_path / "said", token="t")) as (watches, slept):
        await door.is_at_end.wait()
        assert (tmp_path / "said").read_text() == '5 ["a"]\n7 ["é"]\n'
        assert watches.run_count == 2
    path = "/v1/catalog/nodes"
    waits = [f"{path}?index={index}&wait=300s" for index in (5, 6, 7)]
    assert door.asked == [(path, "t"), *((wait, "t") for wait in waits)]
    assert slept == []


async def test_a_program_that_fails_is_told_and_not_run_again(tmp_path, caplog):
    """Its exit code and its words are in the log; the next change runs it again."""
    args = [sys.executable, "-c", "import sys; print('no\\nway', file=sys.stderr); sys.exit(3)"]
    door = Door((5, ["a"]), (6, ["b"]))
    async with running(door, {"type": "nodes", "args": args}) as (watches, slept):
        await door.is_at_end.wait()
        assert (watches.run_count, watches.failed_count["script"]) == (2, 2)
    assert caplog.messages[0].endswith("ended with exit code 3: no way")
    assert slept == []


async def test_a_program_that_is_not_there_is_told(caplog):
    """The watch goes on."""
    door = Door((5, ["a"]))
    async with running(door, {"type": "nodes", "args": ["/no/such/program"]}) as (watches, _):
        await door.is_at_end.wait()
        assert watches.failed_count["script"] == 1
    assert "/no/such/program can't be run: No such file or directory" in caplog.text


async def test_a_program_that_does_not_read_and_leaves_one_behind_holds_up_nobody(tmp_path):
    """Neither a large input that is not read nor a process that keeps the output open is waited for."""
    left = f"import time, pathlib; pathlib.Path({str(tmp_path / 'left')!r}).write_text('1'); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {left!r}], stdin=0)"
    door = Door((5, ["x" * 1_000_000]))
    async with asyncio.timeout(10):
        async with running(door, {"type": "nodes", "args": [sys.executable, "-c", code]}) as (watches, _):
            await door.is_at_end.wait()
            assert not watches.failed_count


def runs(pid):
    """Whether there is such a process, and it is not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def test_a_program_under_way_is_ended_with_what_it_started(tmp_path):
    """At the end, one that disregards the word to end is killed with its children."""
    file = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(file)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(600)\n"
    )
    door = Door((5, ["a"]))
    async with running(door, {"type": "nodes", "args": [sys.executable, "-c", code]}):
        await asyncio.to_thread(eventually, lambda: file.exists() and file.read_text().endswith("\n"))
    for pid in file.read_text().split():
        await asyncio.to_thread(eventually, lambda pid=pid: not runs(pid))


async def test_a_refused_question_is_asked_again_ever_later(tmp_path, caplog):
    """The waits grow; then what is there is asked for without waiting, and told."""
    door = Door((5, ["a"]), *[Told(500, b"no", 0)] * 7, (6, ["b"]))
    async with running(door, script(tmp_path / "said")) as (watches, slept):
        await door.is_at_end.wait()
        assert (tmp_path / "said").read_text() == '5 ["a"]\n6 ["b"]\n'
        assert watches.failed_count["question"] == 7
    assert slept == [5, 20, 45, 80, 125, 180, 180]
    assert [target for target, _ in door.asked][2:9] == ["/v1/catalog/nodes"] * 7
    assert "it was refused: no (500); trying again in 5s" in caplog.text


async def test_an_answer_without_an_index_does_not_spin(tmp_path):
    """Where no index is told, the next question comes after a pause."""
    door = Door((0, ["a"]), (0, ["a"]))
    async with running(door, script(tmp_path / "said")) as (_, slept):
        await door.is_at_end.wait()
    assert slept == [5, 5]


async def test_a_key_that_is_not_there_is_waited_for(tmp_path):
    """404 is an answer where nothing there is one."""
    door = Door(Told(404, b"", 3), (5, [{"Key": "a"}]), Told(404, b"", 6))
    async with running(door, script(tmp_path / "said", type="key", key="a")):
        await door.is_at_end.wait()
    assert (tmp_path / "said").read_text() == '5 {"Key":"a"}\n6 null\n'


@contextlib.asynccontextmanager
async def receiver(*statuses):
    """A server that answers so, one after the other, and then 200; its URL and what it was sent."""
    got, left = [], list(statuses)

    async def take(request):
        got.append((request.method, request.headers, await request.text()))
        return web.Response(status=left.pop(0) if left else 200, text="why")

    application = web.Application()
    application.router.add_route("*", "/changed", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/changed", got
    finally:
        await runner.cleanup()


async def test_a_server_is_sent_each_change():
    """It gets the JSON, the index and the headers of the configuration."""
    door = Door((5, ["a"]), (6, ["b"]))
    async with receiver() as (url, got):
        inner = {"path": url, "header": {"X-Key": ["1"]}}
        definition = {"type": "nodes", "handler_type": "http", "http_handler_config": inner}
        async with running(door, definition):
            await door.is_at_end.wait()
    assert [(method, headers["X-Consul-Index"], body) for method, headers, body in got] == [
        ("POST", "5", '["a"]'),
        ("POST", "6", '["b"]'),
    ]
    assert got[0][1]["X-Key"] == "1"
    assert got[0][1]["Content-Type"] == "application/json"


async def test_a_server_that_fails_is_told_the_newest_state_later(caplog):
    """What it did not take is asked for anew after ever longer waits."""
    door = Door((5, ["a"]), (6, ["b"]), (7, ["c"]))
    async with receiver(500, 503) as (url, got):
        definition = {"type": "nodes", "handler_type": "http", "http_handler_config": {"path": url}}
        async with running(door, definition) as (watches, slept):
            await door.is_at_end.wait()
            assert (watches.run_count, watches.failed_count["http"]) == (3, 2)
    assert [body for _, _, body in got] == ['["a"]', '["b"]', '["c"]']
    assert slept == [5, 20]
    assert [target for target, _ in door.asked][1:3] == ["/v1/catalog/nodes"] * 2
    assert "it answered 500: why; trying again in 5s" in caplog.text


@pytest.mark.parametrize("path", ["http://127.0.0.1:1/secret", "http://unknown.invalid/secret"])
async def test_a_server_that_is_away_is_told_without_its_url(caplog, path):
    """URLs hold secrets now and then; the log names the watch."""
    door = Door((5, ["a"]))
    definition = {"type": "nodes", "handler_type": "http", "http_handler_config": {"path": path}}
    async with running(door, definition):
        await door.is_at_end.wait()
    assert "watch nodes: it can't be reached" in caplog.text
    assert "secret" not in caplog.text


async def test_a_change_of_the_configuration_is_taken_in(tmp_path):
    """Watches that stay go on without running anew; those that are gone end; new ones begin."""
    door = Door((5, ["a"]))
    stays, goes = script(tmp_path / "stays"), script(tmp_path / "goes", type="services")
    async with running(door, stays) as (watches, _):
        await door.is_at_end.wait()
        await watches.set(read_watches(("", each) for each in (stays, goes, goes)))
        assert len(watches) == 3
        await asyncio.sleep(0)  # lets the new ones ask
        await watches.set(read_watches([("", stays)]))
        assert len(watches) == 1
        await watches.set([])
        assert len(watches) == 0
    assert [target for target, _ in door.asked] == [
        "/v1/catalog/nodes",
        "/v1/catalog/nodes?index=5&wait=300s",
        "/v1/catalog/services",
        "/v1/catalog/services",
    ]
    assert (tmp_path / "stays").read_text() == '5 ["a"]\n'
