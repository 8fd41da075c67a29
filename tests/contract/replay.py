"""Replays a recorded conversation with a real Consul against an agent, and says where the agent answers otherwise.

A scenario is a list of steps against one fresh agent. A step sends its `request` and compares what comes back with
its `response`. Differences are *hard* or *soft*:

  hard  the status; a JSON type or value; a key that is missing; the length or order of a list; `null` against `[]`
        or `{}`; a header that clients read; whether a waiting query waited, and until when
  soft  the wording of an error or an output; a header of minor use; a fitting 4xx where Consul 1.9 said 500

Keys and headers that the recording has not are free. Ids, indexes, times and hashes are compared by kind. An id, and
a content hash, must moreover be the same again wherever the recording had the same again.

The words of a step: `label` names it; `${label:headers.NAME}` and `${label:json.PATH}` in later requests take from its
answer; `dns` asks that question and compares with `answer`, `counted` its number of records; `ignore` lists patterns of paths that are not compared; `unordered` compares lists of objects as sets; `poll_s`
repeats until it matches; `after_s` waits before; `start` runs it beside the following steps until the step with the
same `join`; `wait_s` and `blocks` (`none`, `until-change`, `whole-wait`) say how long it must take.
"""

import base64
import concurrent.futures
import dataclasses
import fnmatch
import http.client
import json
import re
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

HEADERS_CLIENTS_READ = ("content-type", "location", "x-cache", "x-consul-contenthash", "x-consul-index")
HEADERS_OF_MINOR_USE = (
    "allow",
    "cache-control",
    "content-security-policy",
    "x-consul-default-acl-policy",
    "x-consul-effective-consistency",
    "x-consul-knownleader",
    "x-consul-lastcontact",
    "x-consul-translate-addresses",
    "x-content-type-options",
)
WORDING_KEYS = ("Output", "What")
INDEX_KEYS = ("AssignedIndex", "CreateIndex", "Index", "ModifyIndex", "RaftIndex")
HASH_KEYS = ("ContentHash", "Hash")

BODY_FORMS = ("json", "text", "base64")

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
REFERENCE = re.compile(r"\$\{(?P<label>[^:}]+):(?P<path>[^}]+)\}")

BLOCKED_S_MIN = 0.4
"""An answer within this counts as given at once."""

STARTED_S = 0.5
"""How long a request that runs beside others waits before they are sent; what they wake must not look instant."""
assert STARTED_S > BLOCKED_S_MIN

_JOIN_S_MAX = 30.0


@dataclasses.dataclass(frozen=True)
class Difference:
    """One way in which an answer is not the recorded one."""

    is_hard: bool
    text: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one step."""

    step: str
    what: str
    differences: tuple[Difference, ...]

    @property
    def hard(self):
        return [difference.text for difference in self.differences if difference.is_hard]


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer in the recordings' form: `body` under the name of its form."""

    status: int
    headers: dict
    form: str
    body: object
    took_s: float = 0.0


# ---- comparing ----


class Bindings:
    """Which id or hash of the recording stands for which live one, bound at first sight, one to one."""

    def __init__(self, pairs=()):
        self._live_by_recorded = dict(pairs)

    def copy(self):
        return Bindings(self._live_by_recorded)

    def fit(self, recorded, live):
        return self._live_by_recorded.setdefault(recorded, live) == live

    def fit_text(self, recorded, live):
        """Whether two texts are the same but for ids that fit."""
        if UUID.sub("#", recorded) != UUID.sub("#", live):
            return False
        return all(
            mine == theirs if _is_blank(mine) else self.fit(mine, theirs)
            for mine, theirs in zip(UUID.findall(recorded), UUID.findall(live), strict=True)
        )


def _is_blank(uuid):
    """Whether an id is a placeholder, such as zeros only, which stands for itself."""
    return len(set(uuid) - {"-"}) == 1 or not uuid.strip("0-")


def compare(recorded, live, bindings, *, ignore=(), unordered=False):
    """Every difference between two answers."""
    if recorded.status != live.status:
        is_fitting = recorded.status == 500 and 400 <= live.status < 500
        yield Difference(not is_fitting, f"status {recorded.status} became {live.status}: {_short(live.body)}")
        if max(recorded.status, live.status) >= 400:
            return
    yield from _compare_headers(recorded, live, bindings, ignore)
    is_success = recorded.status < 400
    if recorded.form != live.form:
        if is_success and not {recorded.form, live.form} <= set(ignore):
            yield Difference(True, f"the body was {recorded.form}, became {live.form}: {_short(live.body)}")
    elif recorded.form == "json":
        yield from _Walk(bindings, ignore, unordered).compare(recorded.body, live.body, "json")
    elif "text" not in ignore and not bindings.fit_text(recorded.body.strip(), live.body.strip()):
        yield Difference(is_success, f"the body {_short(recorded.body)} became {_short(live.body)}")


def _compare_headers(recorded, live, bindings, ignore):
    for name, was in recorded.headers.items():
        if name not in HEADERS_CLIENTS_READ + HEADERS_OF_MINOR_USE or _is_ignored(f"headers.{name}", ignore):
            continue
        now = live.headers.get(name)
        if now is None:
            yield Difference(name in HEADERS_CLIENTS_READ, f"header {name}: {was} is missing")
        elif not _header_fits(name, was, now, bindings):
            is_hard = name in HEADERS_CLIENTS_READ and not (name == "content-type" and recorded.status >= 400)
            yield Difference(is_hard, f"header {name}: {was} became {now}")


def _header_fits(name, was, now, bindings):
    match name:
        case "x-consul-index":
            return now.isdigit() and (int(was) > 0) == (int(now) > 0)
        case "x-consul-contenthash":
            return bindings.fit(was, now)
        case "x-consul-lastcontact":
            return now.isdigit()
        case "content-type":
            return was.partition(";")[0] == now.partition(";")[0]
    return was == now


class _Walk:
    """Compares two JSON values, key by key."""

    def __init__(self, bindings, ignore, unordered):
        self._bindings = bindings
        self._ignore = ignore
        self._unordered = unordered

    def compare(self, was, now, path):
        if _is_ignored(path, self._ignore):
            return
        key = path.rpartition(".")[2]
        if _json_type(was) != _json_type(now):
            yield Difference(True, f"{path}: {_short(was)} became {_short(now)}")
        elif isinstance(was, dict):
            yield from self._compare_objects(was, now, path)
        elif isinstance(was, list):
            yield from self._compare_lists(was, now, path)
        elif not self._scalars_fit(was, now, key):
            yield Difference(key not in WORDING_KEYS, f"{path}: {_short(was)} became {_short(now)}")

    def _compare_objects(self, was, now, path):
        for key, value in was.items():
            inner = f"{path}.{key}"
            if key in now:
                yield from self.compare(value, now[key], inner)
            elif not _is_ignored(inner, self._ignore):
                yield Difference(True, f"{inner}: {_short(value)} is missing")

    def _compare_lists(self, was, now, path):
        if len(was) != len(now):
            yield Difference(True, f"{path}: {len(was)} items became {len(now)}: {_short(now)}")
            return
        if self._unordered and was:
            was, now = sorted(was, key=_sort_key), sorted(now, key=_sort_key)
        for position, (mine, theirs) in enumerate(zip(was, now, strict=True)):
            yield from self.compare(mine, theirs, f"{path}.{position}")

    def _scalars_fit(self, was, now, key):
        if isinstance(was, bool) or was is None:
            return was is now
        if isinstance(was, str):
            if key in HASH_KEYS:
                return self._bindings.fit(was, now)
            if MOMENT.match(was):
                return bool(MOMENT.match(now))
            return self._bindings.fit_text(was, now)
        return (was > 0) == (now > 0) if key in INDEX_KEYS else was == now


def _json_type(value):
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int) else type(value)


def _sort_key(value):
    """The same for values that differ in ids and indexes only."""
    if isinstance(value, dict):
        value = {key: 0 if key in INDEX_KEYS else inner for key, inner in value.items()}
        # Only keys that both sides have can order both alike; Regista adds some.
        value = {
            key: value[key]
            for key in ("Node", "ID", "CheckID", "ServiceID", "Service", "Key", "Name", "LockDelay")
            if key in value
        }
    return UUID.sub("#", json.dumps(value, sort_keys=True))


def _is_ignored(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _short(value, most=160):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= most else f"{text[:most]}…"


# ---- sending ----


def as_answer(recorded):
    """A recorded `response` as an `Answer`."""
    form = next((form for form in BODY_FORMS if form in recorded), "text")
    return Answer(recorded["status"], recorded["headers"], form, recorded.get(form, ""))


def exchange(address, request):
    """Sends one recorded request on a connection of its own."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    began_s = time.monotonic()
    try:
        body = _encoded_body(request)
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        for name, value in (request.get("headers") or {}).items():
            connection.putheader(name, value)
        if body is not None or request["method"] in ("PUT", "POST"):
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        answer = connection.getresponse()
        raw = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
    form, decoded = _decoded_body(raw, headers.get("content-type", ""))
    return Answer(answer.status, headers, form, decoded, time.monotonic() - began_s)


def _encoded_body(request):
    if "json" in request:
        return json.dumps(request["json"]).encode()
    if "text" in request:
        return request["text"].encode()
    return base64.b64decode(request["base64"]) if "base64" in request else None


def _decoded_body(raw, content_type):
    if content_type.startswith("application/json") and raw:
        return "json", json.loads(raw)
    try:
        return "text", raw.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(raw).decode()


def ask_dns(address, asked):
    """The answer to one recorded question, in the recordings' form: sections sorted, serials 0."""
    host, _, port = address.rpartition(":")
    message = dns.message.make_query(asked["name"], asked["type"])
    if asked.get("edns"):
        message.use_edns(0, payload=asked["edns"])
    send = dns.query.tcp if asked.get("tcp") else dns.query.udp
    found = send(message, host, port=int(port), timeout=5)
    return {
        "rcode": dns.rcode.to_text(found.rcode()),
        "flags": sorted({"AA", "TC", "RA"} & set(dns.flags.to_text(found.flags).split())),
        "answer": _section(found.answer),
        "authority": _section(found.authority),
        "additional": _section(found.additional),
    }


def _section(rrsets):
    return sorted(
        [rrset.name.to_text(), rrset.ttl, dns.rdatatype.to_text(rrset.rdtype), _data_text(rrset.rdtype, data)]
        for rrset in rrsets
        for data in rrset
    )


def _data_text(rdtype, data):
    words = data.to_text().split(" ")
    if rdtype == dns.rdatatype.SOA:
        words[2] = "0"  # a clock
    return " ".join(words)


# ---- replaying ----


class Replay:
    """One scenario against one agent at `address`, and `dns` for its questions over DNS."""

    def __init__(self, address, dns=""):
        self._address = address
        self._dns = dns
        self._bindings = Bindings()
        self._answers = {}
        self._running = {}

    def run(self, scenario):
        """The outcome of every step that has one, in order."""
        with concurrent.futures.ThreadPoolExecutor() as threads:
            return [
                outcome
                for number, step in enumerate(scenario["steps"])
                if (outcome := self._run_step(step, str(number), threads)) is not None
            ]

    def _run_step(self, step, number, threads):
        time.sleep(step.get("after_s", 0))
        name = step.get("label") or (f"join {step['join']}" if "join" in step else number)
        if "dns" in step:
            asked = step["dns"]
            return Outcome(number, f"{asked['type']} {asked['name']}", tuple(self._poll_dns(step)))
        try:
            if "join" in step:
                started, future = self._running.pop(step["join"])
                step = {**started, **step}
                live = future.result(_JOIN_S_MAX)
                found = self._judge(step, live)
            elif "start" in step:
                self._running[step["start"]] = step, threads.submit(exchange, self._address, self._filled(step))
                time.sleep(STARTED_S)
                return None
            else:
                live, found = self._poll(step)
        except (OSError, LookupError, ValueError, concurrent.futures.TimeoutError) as error:
            found = [Difference(True, f"{type(error).__name__}: {error}")]
        else:
            self._answers[step.get("label") or step.get("start") or name] = live
        request = step.get("request", {"method": "", "path": ""})
        return Outcome(name, f"{request['method']} {request['path']}", tuple(found))

    def _poll(self, step):
        end_s = time.monotonic() + step.get("poll_s", 0)
        while True:
            before = self._bindings.copy()
            live = exchange(self._address, self._filled(step))
            found = self._judge(step, live)
            if not any(difference.is_hard for difference in found) or time.monotonic() >= end_s:
                return live, found
            # An answer that is not yet the recorded one must not bind ids.
            self._bindings = before
            time.sleep(0.05)

    def _poll_dns(self, step):
        end_s = time.monotonic() + step.get("poll_s", 0)
        while True:
            live = ask_dns(self._dns, step["dns"])
            found = list(_Walk(self._bindings, step.get("ignore", ()), False).compare(step["answer"], live, "dns"))
            if "counted" in step and len(live["answer"]) != step["counted"]:
                found.append(Difference(True, f"{step['counted']} answers became {len(live['answer'])}"))
            if not found or time.monotonic() >= end_s:
                return found
            time.sleep(0.05)

    def _judge(self, step, live):
        recorded = as_answer(step["response"])
        if step["request"]["path"].startswith("/v1/catalog/services"):
            # Consul gives the tags of a name in the order of a hash table.
            recorded, live = _with_sorted_tags(recorded), _with_sorted_tags(live)
        found = list(
            compare(
                recorded,
                live,
                self._bindings,
                ignore=step.get("ignore", ()),
                unordered=step.get("unordered", False),
            )
        )
        if "blocks" in step:
            blocked = _blocked_how(live.took_s, step["wait_s"])
            if blocked != step["blocks"]:
                text = f"blocked {blocked} ({live.took_s:.2f} s) where Consul blocked {step['blocks']}"
                found.append(Difference(True, text))
        return found

    def _filled(self, step):
        """The step's request with what it takes from earlier answers."""

        def fill(value):
            if isinstance(value, str):
                return REFERENCE.sub(lambda match: self._take(match["label"], match["path"]), value)
            if isinstance(value, dict):
                return {key: fill(inner) for key, inner in value.items()}
            return [fill(inner) for inner in value] if isinstance(value, list) else value

        return fill(step["request"])

    def _take(self, label, path):
        answer = self._answers[label]
        room, _, rest = path.partition(".")
        if room in ("header", "headers"):
            return answer.headers[rest.lower()]
        value = answer.body
        for part in rest.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return str(value)


def _with_sorted_tags(answer):
    if not isinstance(answer.body, dict):
        return answer
    return dataclasses.replace(answer, body={name: sorted(tags) for name, tags in answer.body.items()})


def _blocked_how(took_s, wait_s):
    if took_s < BLOCKED_S_MIN:
        return "none"
    return "until-change" if took_s < wait_s else "whole-wait"
