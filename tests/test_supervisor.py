"""One command starts everything, keeps it alive and leaves nothing behind: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from clinic_portal import queues
from clinic_portal.config import ConfigError, load_config
from clinic_portal.supervisor import lock, ports, valkey
from tests.conftest import portal_config

ROOT = Path(__file__).resolve().parent.parent
PARTS = ["supervisor.valkey", "cli web", "cli work notifications", "cli work assignment", "cli sweep"]


class Portal:
    """A supervisor running in its own scratch folder."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH")}
        self.env = {**kept, "PORTAL_ENV": "test", "DATA_DIR": str(folder), "PORT": str(port)}
        self.output = (folder.parent / "output.txt").open("ab+")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "clinic_portal.cli", "run"]
        return subprocess.Popen(command, env=self.env, cwd=ROOT, stdout=self.output, stderr=subprocess.STDOUT)

    def start_another(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "clinic_portal.cli", "run"]
        return subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    def told(self) -> str:
        return (self.folder.parent / "output.txt").read_text()

    @property
    def url(self) -> str:
        return str(json.loads((self.folder / "supervisor.lock").read_text())["url"])

    def wait_until_up(self) -> None:
        wait_for(lambda: "The clinic portal is at" in self.told(), 60, self.told)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def part(self, name: str) -> psutil.Process | None:
        for child in psutil.Process(self.process.pid).children():
            # One that just died cannot be asked.
            with suppress(psutil.Error):
                if name in " ".join(child.cmdline()):
                    return child
        return None

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def members(self) -> str:
        """Every process of it, a line each."""
        return "\n".join(" ".join(process.cmdline()) for process in self.family())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.output.close()


def wait_for(is_so: Callable[[], object], seconds: float, told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def left_of(family: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in family if not is_gone(process)]


@contextmanager
def taken_port() -> Iterator[int]:
    """Somebody else listens on a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def short() -> Iterator[Path]:
    # A path of its own: pytest's are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def shared() -> Iterator[Portal]:
    """One portal for the tests that leave it running."""
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        yield from run_portal(Path(folder))


@pytest.fixture
def portal(short: Path) -> Iterator[Portal]:
    yield from run_portal(short)


def run_portal(folder: Path) -> Iterator[Portal]:
    (folder / "data").mkdir()
    portal = Portal(folder / "data")
    try:
        portal.wait_until_up()
        # The parts, Valkey itself and two web processes.
        wait_for(lambda: len(portal.family()) == len(PARTS) + 3, 30, portal.members)
        yield portal
    finally:
        portal.close()


@pytest.mark.slow
def test_a_second_start_says_where_the_first_one_is_and_does_nothing(shared: Portal) -> None:
    second = shared.start_another()
    assert second.returncode == 1
    assert shared.url in second.stderr
    assert str(shared.process.pid) in second.stderr
    assert shared.answers()


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_is_killed_comes_back(shared: Portal, name: str) -> None:
    killed = shared.part(name)
    assert killed
    killed.kill()
    wait_for(lambda: (new := shared.part(name)) and new.pid != killed.pid, 20, shared.told)
    wait_for(shared.answers, 30, shared.told)


@pytest.mark.slow
def test_a_web_process_or_the_queue_itself_that_is_killed_comes_back(shared: Portal) -> None:
    web, minder = shared.part("cli web"), shared.part("supervisor.valkey")
    assert web
    assert minder
    wait_for(lambda: len(web.children()) == 2 and minder.children(), 30, shared.told)
    ended_before = shared.told().count("worker-notifications ended")
    web.children()[0].kill()
    minder.children()[0].kill()
    client = queues.connect(f"unix://{shared.folder / 'valkey.sock'}", patience_s=1)
    wait_for(lambda: not queues.is_up(client), 5, shared.told)
    wait_for(lambda: queues.is_up(client), 30, shared.told)
    wait_for(lambda: len(web.children()) == 2 and shared.answers(), 30, shared.told)
    assert shared.told().count("worker-notifications ended") == ended_before, "a worker waits for its queue"
    client.close()


@pytest.mark.slow
def test_ctrl_c_ends_everything_within_seconds_and_leaves_nothing(portal: Portal) -> None:
    family = portal.family()
    portal.process.send_signal(signal.SIGINT)
    assert portal.process.wait(15) == 0, portal.told()
    assert left_of(family) == []
    assert "did not stop in time" not in portal.told()


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_takes_the_same_port(portal: Portal) -> None:
    family, port = portal.family(), int(portal.url.rpartition(":")[2])
    portal.process.kill()
    portal.process.wait()
    following = Portal(portal.folder, port)
    try:
        wait_for(lambda: left_of(family) == [], 15, portal.told)
        wait_for(lambda: following.told().count("The clinic portal is at") == 2, 60, following.told)
        assert following.url == f"http://127.0.0.1:{port}"
        # All of it: a part that is just starting is asked to stop before it can hear.
        wait_for(lambda: len(following.family()) == len(PARTS) + 3, 30, following.members)
        # A closed terminal asks to stop, too.
        following.process.send_signal(signal.SIGHUP)
        assert following.process.wait(15) == 0, following.told()
    finally:
        following.close()


@pytest.mark.slow
def test_a_queue_left_behind_is_taken_over_and_stopped_with_the_portal(short: Path) -> None:
    server = valkey.start(short / "data", short / "valkey.sock")
    command = [sys.executable, "-m", "clinic_portal.supervisor.valkey", str(short / "data"), str(short / "valkey.sock")]
    minder = subprocess.Popen(command, cwd=ROOT)
    client = queues.connect(f"unix://{short / 'valkey.sock'}")
    wait_for(lambda: len(client.client_list()) == 2, 30)
    client.close()
    assert server.is_running()
    minder.terminate()
    assert minder.wait(10) == 0
    wait_for(lambda: not server.is_running(), 5)


@pytest.mark.slow
def test_a_stranger_at_our_socket_is_refused(short: Path) -> None:
    server = valkey.start(short / "theirs", short / "valkey.sock")
    command = [sys.executable, "-m", "clinic_portal.supervisor.valkey", str(short / "ours"), str(short / "valkey.sock")]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert "another Valkey" in refused.stderr
    assert server.is_running()
    server.stop()


def test_the_data_folder_has_one_supervisor_at_a_time(tmp_path: Path) -> None:
    config = load_config(portal_config(tmp_path))
    with lock.claim(config) as claim:
        claim.tell("http://127.0.0.1:8123", 8123)
        with pytest.raises(lock.AlreadyRunning, match=r"http://127\.0\.0\.1:8123.*process"), lock.claim(config):
            pass
    with lock.claim(config) as claim:
        assert claim.left_behind is None


def test_a_taken_port_gives_the_next_free_one_and_the_address_follows(tmp_path: Path) -> None:
    with taken_port() as port:
        config = ports.settle_port(load_config(portal_config(tmp_path, PORT=str(port))), None)
    assert config.port > port
    assert config.base_url == f"http://127.0.0.1:{config.port}"


def test_an_address_that_was_set_stays_whatever_the_port(tmp_path: Path) -> None:
    with taken_port() as port:
        env = portal_config(tmp_path, PORT=str(port), BASE_URL="https://portal.example")
        assert ports.settle_port(load_config(env), None).base_url == "https://portal.example"


def test_production_refuses_a_taken_port(tmp_path: Path) -> None:
    production = {
        "PORTAL_ENV": "production",
        "BASE_URL": "https://portal.example",
        "SMTP_HOST": "mail.example",
        "MAIL_FROM": "desk@portal.example",
        "SECRET_KEY": "s" * 40,
        "PASSWORD_SALT": "p" * 40,
    }
    with taken_port() as port, pytest.raises(ConfigError, match="taken by another program"):
        ports.settle_port(load_config(portal_config(tmp_path, **production, PORT=str(port))), None)
