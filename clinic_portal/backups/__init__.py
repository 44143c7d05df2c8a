"""Copies of the whole database, made while the portal runs, and brought back into an empty one.

A backup is a folder named after its instant (UTC): the copy, and a manifest with its checksum and the rows of each
table, so that whoever brings it back knows that all of it is there. The secrets of the deployment are not in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from clinic_portal import clock
from clinic_portal.backups import postgres, sqlite
from clinic_portal.backups.kind import BackupError, Kind, Rows
from clinic_portal.config import Config

COPY, MANIFEST = "copy", "manifest.json"
NAME = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself; `tables` has the rows of each table and a number made of their content."""

    database: str
    made_at: str
    sha256: str
    tables: Rows

    @property
    def rows(self) -> int:
        return sum(count for count, _ in self.tables.values())


def back_up(config: Config, folder: Path) -> tuple[Path, Manifest]:
    """Copy the database as it is at one instant, while others read and write, and make sure that the copy is whole.

    Raises: BackupError saying what to do. What was begun is taken away; a backup is there wholly or not at all.
    """
    made_at = clock.now().strftime("%Y%m%dT%H%M%SZ")
    final, partial = folder / made_at, folder / f".{made_at}.partial"
    if final.exists():
        raise BackupError(f"There is a backup {made_at} already.")
    folder.mkdir(parents=True, exist_ok=True)
    partial.mkdir(mode=0o700)
    try:
        manifest = _copy(config, partial, made_at)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _to_disk(folder)
    return final, manifest


def _copy(config: Config, partial: Path, made_at: str) -> Manifest:
    copy, kind = partial / COPY, _kind(config)
    copy.touch(mode=0o600)
    tables = kind.dump(config.database_url, copy)
    manifest = Manifest(kind.name, made_at, _checksum(copy), tables)
    (partial / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
    for file in (copy, partial / MANIFEST, partial):
        _to_disk(file)
    return manifest


def restore(config: Config, backup: Path) -> Manifest:
    """Bring a backup into the empty database of this deployment, and compare every table with what was copied.

    Raises: BackupError when the backup is damaged or of another kind of database, when the database is not empty, or
    when the two differ; then nothing is there.
    """
    manifest, kind = read_manifest(backup), _kind(config)
    if manifest.database != kind.name:
        raise BackupError(f"This backup is of {manifest.database}, and DATABASE_URL is of {kind.name}.")
    kind.refuse_unless_empty(config.database_url)
    kind.load(config.database_url, backup / COPY, lambda tables: _compare(manifest.tables, tables))
    return manifest


def read_manifest(backup: Path) -> Manifest:
    """What a backup says of itself, once its copy has been read and found unchanged. Raises: BackupError."""
    try:
        found = json.loads((backup / MANIFEST).read_text())
        tables = {name: (int(count), str(content)) for name, (count, content) in found.pop("tables").items()}
        manifest = Manifest(**found, tables=tables)
        if _checksum(backup / COPY) != manifest.sha256:
            raise BackupError(f"The copy in {backup} is damaged: its checksum is another one than when it was made.")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupError(f"There is no whole backup in {backup}.") from error
    return manifest


def drop_old(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups of a folder, and what an interrupted one left; returns what was deleted."""
    old = sorted(each for each in folder.iterdir() if NAME.fullmatch(each.name))[:-keep]
    for each in (*old, *folder.glob(".*.partial")):
        shutil.rmtree(each)
    return old


def _compare(copied: Rows, restored: Rows) -> None:
    if wrong := sorted(name for name in {*copied, *restored} if copied.get(name) != restored.get(name)):
        raise BackupError(f"What was brought back is not what was copied: {', '.join(wrong)}.")


def _kind(config: Config) -> Kind:
    return sqlite.KIND if config.is_sqlite else postgres.KIND


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
