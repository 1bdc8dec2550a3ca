"""Real servers for the tests of sources: on loopback, on a free port, stopped by the process that was started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.02)


def answers(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(0.5)
        return one.connect_ex(("127.0.0.1", port)) == 0


def stop(process: subprocess.Popen, how: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr, process.stdin):
        if pipe is not None:
            pipe.close()


@contextmanager
def mosquitto(folder: Path, settings: str = "") -> Iterator[int]:
    """A broker that keeps sessions in ``folder``; gives its port."""
    port, folder = free_port(), Path(folder)
    user = f"user {'root' if os.getuid() == 0 else ''}\n" if os.getuid() == 0 else ""
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        f"max_queued_messages 0\n{user}{settings}")
    broker = subprocess.Popen([str(MOSQUITTO), "-c", str(folder / "mosquitto.conf")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), "mosquitto")
        yield port
    finally:
        stop(broker)


@dataclass
class Cluster:
    """A PostgreSQL cluster that can be stopped and started again, as if a connection were lost; ``url`` leads there."""

    url: str
    command: list[str]
    ready: list[str]
    server: subprocess.Popen | None = None

    def start(self) -> None:
        self.server = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        wait_for(lambda: subprocess.run(self.ready, check=False).returncode == 0, "postgres")

    def stop(self) -> None:
        if self.server is not None:
            stop(self.server, signal.SIGINT)


@contextmanager
def postgres_cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster of its own, started. Run as a user other than root."""
    folder, port = Path(tempfile.mkdtemp(prefix="postgres-")), free_port()
    binaries = Path(str(POSTGRES)).parent
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    (folder / "password").write_text("s3cr:t/p@ss")
    if as_user:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    made = Cluster(f"postgresql+psycopg://terracast:s3cr%3At%2Fp%40ss@127.0.0.1:{port}/postgres",
                   [*as_user, str(binaries / "postgres"), "-D", str(folder / "data"), "-p", str(port),
                    "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"],
                   [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)])
    try:
        subprocess.run([*as_user, str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "terracast",
                        "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "--no-sync"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", env={**os.environ, "LC_ALL": "C.UTF-8"})
        try:
            made.start()
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL cluster of its own, for SQLAlchemy, with a password."""
    with postgres_cluster() as made:
        yield made.url
