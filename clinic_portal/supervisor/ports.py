"""The port that the web server takes."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

from clinic_portal.config import Config, ConfigError

TRIED = 50
LEAVING_S = 5.0


def settle_port(config: Config, left_behind: int | None) -> Config:
    """Keep the wanted port, or take the next free one outside production.

    Args: left_behind: port of a run that ended abruptly; its processes notice within a second and let go of it.
    Raises: ConfigError when there is none.
    """
    if left_behind == config.port:
        _wait_until_free(config)
    if is_free(config.host, config.port):
        return config if config.port else _on(config, _any_free(config.host))
    if config.is_production:
        raise ConfigError(f"PORT {config.port} is taken by another program.")
    for port in range(config.port + 1, min(config.port + TRIED, 65_536)):
        if is_free(config.host, port):
            return _on(config, port)
    raise ConfigError(f"PORT {config.port} and the {TRIED - 1} after it are taken: set PORT to another one.")


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with _tcp_socket(host) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _on(config: Config, port: int) -> Config:
    had_own_url = config.base_url != f"http://{config.host}:{config.port}"
    return replace(config, port=port, base_url=config.base_url if had_own_url else f"http://{config.host}:{port}")


def _any_free(host: str) -> int:
    with _tcp_socket(host) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_free(config: Config) -> None:
    deadline = time.monotonic() + LEAVING_S
    while not is_free(config.host, config.port) and time.monotonic() < deadline:
        time.sleep(0.1)


def _tcp_socket(host: str) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    # A port whose last connections are still closing is free for a server.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return probe
