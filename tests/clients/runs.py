"""The third-party clients that are run against an agent: how each is made ready, and what its program said.

Each program prints a line per feature, `ok NAME` or `FAIL NAME: why`. Clients are fetched with their own package
tools into a cache directory outside the repository, once for each version of what is in tests/clients/.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CLIENTS = Path(__file__).parent

BUILD_S_MAX = 240.0
RUN_S_MAX = 60.0
BUILD_TRIES = 3
"""A package index that does not answer at once often does so a moment later."""

UNUSED_S_MAX = 7 * 24 * 3600.0
"""What was made ready for other versions of the programs, and not used for this long, is deleted."""

PROGRAM = "program"


@dataclasses.dataclass(frozen=True)
class Client:
    """One of them.

    Attributes:
        name: as the documentation calls it.
        folder: its program, below tests/clients/.
        version: of the client, from the file that pins it; "" where the test environment decides.
        tools: the commands without which it can't run.
        build: makes it ready in a folder, which is its only argument.
        command: runs it, once it is ready in the folder.
    """

    name: str
    folder: str
    version: str
    tools: tuple[str, ...]
    build: Callable[[Path], None]
    command: Callable[[Path], list[str]]

    @property
    def source(self) -> Path:
        return CLIENTS / self.folder

    def missing(self) -> str:
        """What has to be installed first; "" if nothing."""
        absent = [tool for tool in self.tools if shutil.which(tool) is None]
        if absent:
            return f"{self.name} needs {', '.join(absent)}, which is not installed"
        if "go" in self.tools and (wanted := _go_directive(self.source)) > (have := _go_version()):
            return f"{self.name} needs Go {_dotted(wanted)}; this is {_dotted(have)}"
        return ""

    def run(self, address: str) -> str:
        """What its program says of the agent at `address`."""
        with ready(self) as folder:
            done = subprocess.run(
                self.command(folder),
                env=os.environ | {"CONSUL_HTTP_ADDR": address, "PYTHONPATH": str(CLIENTS)},
                capture_output=True,
                text=True,
                timeout=RUN_S_MAX,
                check=False,
            )
        assert done.returncode == 0, f"{self.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout


def features_of(output: str) -> dict[str, str]:
    """The features that a program names, each with "yes" or "no"."""
    found = re.findall(r"^(ok|FAIL) ([a-z ]+)", output, re.MULTILINE)
    return {name: {"ok": "yes", "FAIL": "no"}[word] for word, name in found}


# ---- making ready ----


@contextlib.contextmanager
def ready(client: Client) -> Iterator[Path]:
    """The folder in which the client is ready, which nobody deletes or changes meanwhile."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regista-tests"
    cache.mkdir(parents=True, exist_ok=True)
    prefix = re.sub(r"[^a-z0-9]+", "-", client.name.lower())  # a colon would end an entry of Java's class path
    folder = cache / f"{prefix}-{_digest(client)}"
    with (cache / f"{prefix}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in cache.glob(f"{prefix}-*"):
            if other != folder and other.stat().st_mtime < time.time() - UNUSED_S_MAX:
                shutil.rmtree(other)
        done = folder / "ready"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            client.build(folder)
            done.touch()
        os.utime(folder)
        yield folder


def _digest(client: Client) -> str:
    """Names what is built: the sources, and the Python for which it is."""
    summed = hashlib.sha256(f"{sys.version} {sys.prefix}".encode())
    for path in sorted(client.source.iterdir()):
        if path.is_file():
            summed.update(path.name.encode() + b"\0" + path.read_bytes())
    return summed.hexdigest()[:16]


def _sh(*command: str | Path, cwd: Path, **environment: str) -> None:
    """Runs a command that may need a package index, a few times if it has to be."""
    for _ in range(BUILD_TRIES):
        done = subprocess.run(
            [str(each) for each in command],
            cwd=cwd,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_S_MAX,
            check=False,
        )
        if done.returncode == 0:
            return
    raise AssertionError(
        f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    )


def _go(client_folder: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        flags = {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        _sh("go", "build", "-o", folder / PROGRAM, ".", cwd=CLIENTS / client_folder, **flags)

    return build


def _npm(folder: Path) -> None:
    for each in (CLIENTS / "node").iterdir():
        shutil.copy(each, folder)
    _sh("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)


def _maven(folder: Path) -> None:
    copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    source = CLIENTS / "java"
    _sh("mvn", "-q", "-B", "-f", source / "pom.xml", copy, f"-DoutputDirectory={folder / 'lib'}", cwd=folder)
    _sh("javac", "-encoding", "UTF-8", "-cp", f"{folder}/lib/*", "-d", folder, source / "Main.java", cwd=folder)


def _venv(requirements: str) -> Callable[[Path], None]:
    """The clients of Python's that share the module `consul` each have an environment of their own."""

    def build(folder: Path) -> None:
        _sh(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        install = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "-r")
        _sh(folder / "venv/bin/python", *install, CLIENTS / "python_consul" / requirements, cwd=folder)

    return build


def _nothing(_folder: Path) -> None:
    """The test environment has it."""


_PYTHON_PROGRAM = str(CLIENTS / "python_consul" / "main.py")


def _in_venv(folder: Path) -> list[str]:
    return [str(folder / "venv/bin/python"), _PYTHON_PROGRAM]


def _built(folder: Path) -> list[str]:
    return [str(folder / PROGRAM)]


# ---- versions ----


def _pinned(path: str, pattern: str) -> str:
    """The version in a file below tests/clients/."""
    found = re.search(pattern, (CLIENTS / path).read_text(), re.DOTALL)
    assert found, f"{path} has no {pattern}"
    return found[1]


def _numbers(text: str) -> tuple[int, int]:
    major, minor = re.search(r"(\d+)\.(\d+)", text).groups()
    return int(major), int(minor)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _go_directive(source: Path) -> tuple[int, int]:
    return _numbers(re.search(r"^go (.+)$", (source / "go.mod").read_text(), re.MULTILINE)[1])


def _go_version() -> tuple[int, int]:
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    command = ["go", "version"]
    return _numbers(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


ALL = (
    Client(
        "Go: hashicorp/consul/api",
        "go",
        _pinned("go/go.mod", r"hashicorp/consul/api v(\S+)"),
        ("go",),
        _go("go"),
        _built,
    ),
    Client(
        "Prometheus: consul_sd_configs",
        "prometheus",
        _pinned("prometheus/go.mod", r"prometheus/prometheus v(\S+)"),
        ("go",),
        _go("prometheus"),
        _built,
    ),
    Client(
        "Java: ecwid consul-api",
        "java",
        _pinned("java/pom.xml", r"consul-api</artifactId>\s*<version>([^<]+)"),
        ("java", "javac", "mvn"),
        _maven,
        lambda folder: ["java", "-cp", f"{folder}:{folder}/lib/*", "Main"],
    ),
    Client(
        "Node.js: consul",
        "node",
        _pinned("node/package.json", r'"consul": "([^"]+)"'),
        ("node", "npm"),
        _npm,
        lambda folder: ["node", str(folder / "main.mjs")],
    ),
    Client("Python: py-consul", "python_consul", "", (), _nothing, lambda _: [sys.executable, _PYTHON_PROGRAM]),
    Client(
        "Python: python-consul2",
        "python_consul",
        _pinned("python_consul/python-consul2.txt", r"python-consul2==(\S+)"),
        (),
        _venv("python-consul2.txt"),
        _in_venv,
    ),
    Client(
        "Python: python-consul",
        "python_consul",
        _pinned("python_consul/python-consul.txt", r"python-consul==(\S+)"),
        (),
        _venv("python-consul.txt"),
        _in_venv,
    ),
)

COREDNS = Client(
    "CoreDNS",
    "coredns",
    _pinned("coredns/go.mod", r"coredns/coredns v(\S+)"),
    ("go",),
    _go("coredns"),
    _built,
)
"""A resolver, not in `ALL`: it says nothing of features. `tests/integration/dns_programs.py` starts it."""
