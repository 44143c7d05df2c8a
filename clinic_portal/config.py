"""Deployment settings: what the person who runs the portal sets, from environment variables only.

What a clinic changes by itself (horizon, notice, weights) is a table: see `settings.py`.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEMO, PRODUCTION, TEST = "demo", "production", "test"
# Unix socket paths are cut at 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH = 100


@dataclass(frozen=True)
class Variable:
    """One environment variable the portal reads; the README's table is compared with this list."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("PORTAL_ENV", DEMO, "`demo`, `production` or `test`; production refuses made-up secrets and demo data"),
    Variable("DATA_DIR", ".data", "folder for the database, queue, logs and captured mails"),
    Variable("DATABASE_URL", "", "empty: SQLite in the data folder; else `postgresql://...`"),
    Variable("REDIS_URL", "", "empty: embedded Valkey in the data folder; else `redis://...`"),
    Variable("SECRET_KEY", "", "signs cookies and forms; made and kept in the data folder outside production"),
    Variable("PASSWORD_SALT", "", "salts password hashes; made and kept in the data folder outside production"),
    Variable("HOST", "127.0.0.1", "address that the web server listens on"),
    Variable("PORT", "8000", "port of the web server; outside production the next free one if taken"),
    Variable("WEB_PROCESSES", "2", "web processes, one thread each"),
    Variable("BASE_URL", "", "address of the portal as patients see it, for links in mails; empty: host and port"),
    Variable("PROXY_COUNT", "0", "how many proxies stand in front and tell in X-Forwarded-For who is asking"),
    Variable("GRID_MIN", "5", "length of a schedule cell in minutes (5, 10 or 15); read once, at first start"),
    Variable("SMTP_HOST", "", "mail server; empty outside production: mails land in the data folder"),
    Variable("SMTP_PORT", "587", "port of the mail server"),
    Variable("SMTP_USER", "", "user name at the mail server, if it asks for one"),
    Variable("SMTP_PASSWORD", "", "password at the mail server"),
    Variable("SMTP_SECURITY", "starttls", "`starttls`, `tls` or `none`"),
    Variable("MAIL_FROM", "appointments@clinic.example", "sender address of all mails and organiser of events"),
)
DEFAULTS = {variable.name: variable.default for variable in VARIABLES}


class ConfigError(ValueError):
    """A deployment setting is missing or wrong; the text says which and what to do."""


@dataclass(frozen=True)
class Config:
    """All deployment settings, checked and typed."""

    environment: str
    data_dir: Path
    database_url: str
    redis_url: str | None
    secret_key: str
    password_salt: str
    host: str
    port: int
    web_processes: int
    base_url: str
    proxy_count: int
    grid_min: int
    smtp_host: str
    smtp_port: int
    smtp_user: str
    smtp_password: str
    smtp_security: str
    mail_from: str

    @property
    def is_production(self) -> bool:
        return self.environment == PRODUCTION

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def mail_dir(self) -> Path:
        """Where mails land when no mail server is set."""
        return self.data_dir / "mail"

    @property
    def captures_mail(self) -> bool:
        return not self.smtp_host

    @property
    def valkey_socket(self) -> Path:
        """Socket of the embedded Valkey; in the temporary folder when the data folder's path is too long."""
        inside = self.data_dir / "valkey.sock"
        if len(str(inside)) <= MAX_SOCKET_PATH:
            return inside
        # The data folder is ours alone, so its inode names it well enough.
        return Path(tempfile.gettempdir()) / f"clinic-portal-{self.data_dir.stat().st_ino}.sock"

    @property
    def queue_url(self) -> str:
        """The address that clients of the queue use: REDIS_URL, or the embedded server's socket."""
        return self.redis_url or f"unix://{self.valkey_socket}"


def load_config(env: Mapping[str, str] | None = None) -> Config:
    """Read the deployment settings and say clearly what is wrong with them.

    Raises: ConfigError naming the variable.
    """
    values = {**DEFAULTS, **{k: v for k, v in (os.environ if env is None else env).items() if k in DEFAULTS}}
    environment = _one_of(values, "PORTAL_ENV", (DEMO, PRODUCTION, TEST))
    data_dir = Path(values["DATA_DIR"]).expanduser().resolve()
    host, port = values["HOST"], _whole(values, "PORT", 0, 65535)
    config = Config(
        environment=environment,
        data_dir=data_dir,
        database_url=_database_url(values["DATABASE_URL"], data_dir),
        redis_url=values["REDIS_URL"] or None,
        secret_key=_secret(values, "SECRET_KEY", environment, data_dir),
        password_salt=_secret(values, "PASSWORD_SALT", environment, data_dir),
        host=host,
        port=port,
        web_processes=_whole(values, "WEB_PROCESSES", 1, 64),
        base_url=(values["BASE_URL"] or f"http://{host}:{port}").rstrip("/"),
        proxy_count=_whole(values, "PROXY_COUNT", 0, 9),
        grid_min=int(_one_of(values, "GRID_MIN", ("5", "10", "15"))),
        smtp_host=values["SMTP_HOST"],
        smtp_port=_whole(values, "SMTP_PORT", 1, 65535),
        smtp_user=values["SMTP_USER"],
        smtp_password=values["SMTP_PASSWORD"],
        smtp_security=_one_of(values, "SMTP_SECURITY", ("starttls", "tls", "none")),
        mail_from=values["MAIL_FROM"],
    )
    _refuse_unsafe_production(config, values)
    return config


def _refuse_unsafe_production(config: Config, values: Mapping[str, str]) -> None:
    if not config.is_production:
        return
    for name in ("BASE_URL", "SMTP_HOST"):
        if not values[name]:
            raise ConfigError(f"{name} must be set when PORTAL_ENV=production.")
    if values["MAIL_FROM"] == DEFAULTS["MAIL_FROM"]:
        raise ConfigError("MAIL_FROM must be the clinic's own address when PORTAL_ENV=production.")


def _one_of(values: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    if values[name] not in allowed:
        raise ConfigError(f"{name} is {values[name]!r}; it must be one of {', '.join(allowed)}.")
    return values[name]


def _whole(values: Mapping[str, str], name: str, low: int, high: int) -> int:
    text = values[name]
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ConfigError(f"{name} is {text!r}; it must be a whole number from {low} to {high}.")
    return int(text)


def _database_url(url: str, data_dir: Path) -> str:
    if not url:
        return f"sqlite:///{data_dir / 'clinic.db'}"
    if url in ("sqlite://", "sqlite:///:memory:"):
        raise ConfigError("DATABASE_URL must name a file: a database in memory is lost with its process.")
    scheme, _, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg://{rest}"
    return url


def _secret(values: Mapping[str, str], name: str, environment: str, data_dir: Path) -> str:
    if values[name]:
        if environment == PRODUCTION and len(values[name]) < 32:
            raise ConfigError(f"{name} must have at least 32 characters when PORTAL_ENV=production.")
        return values[name]
    if environment == PRODUCTION:
        raise ConfigError(f"{name} must be set when PORTAL_ENV=production.")
    return _kept_secret(data_dir / f".{name.lower()}")


def _kept_secret(path: Path) -> str:
    """Make a secret once and read it ever after, so that a restart signs nobody out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _complete(path)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return _complete(path)


def _complete(path: Path) -> str:
    # Race: another process may have created the file and not yet written it.
    for _ in range(200):
        if len(text := path.read_text()) >= 64:
            return text
    raise ConfigError(f"{path.name} in the data folder is incomplete: delete it and start again.")
