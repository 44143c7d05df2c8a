"""The `clinic-portal` command."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import flask_migrate
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import worker
from clinic_portal import audit, audit_seal, backups, create_app, demo, health, jobs, self_check
from clinic_portal.accounts import emails, invitations, registering, second_step, tokens
from clinic_portal.backups.kind import BackupError
from clinic_portal.config import DEMO, Config, ConfigError, load_config
from clinic_portal.database import db, snapshot
from clinic_portal.errors import DomainError
from clinic_portal.models import RoleName
from clinic_portal.settings import BY_NAME, change_setting, choose_grid, missing_settings
from clinic_portal.supervisor import Supervisor, lock, ports, web
from clinic_portal.web.links import address_of


class Commands(click.Group):
    """Says in one line what is wrong, instead of where in the code it was noticed."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (ConfigError, DomainError, BackupError, lock.AlreadyRunning) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
def main() -> None:
    """Run and look after the clinic portal."""


@main.command()
def run() -> None:
    """Start everything: database, queue, pages, workers, sweeper. Ctrl-C stops it."""
    config = load_config()
    with lock.claim(config) as claim:
        config = ports.settle_port(config, claim.left_behind)
        claim.tell(config.base_url, config.port)
        prepare_database(config)
        _refuse_unset(config)
        Supervisor(config, _say).run(when_up=lambda: _greet(config))


@main.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    with _portal(config := load_config()):
        _upgrade(config)


@main.command("seed-demo")
def seed_demo() -> None:
    """Fill an empty database with the demo clinic."""
    _refuse_production(config := load_config())
    with _portal(config):
        _upgrade(config)
        if not demo.is_empty():
            raise click.ClickException("The database is not empty; `reset-demo` starts again.")
        demo.seed()


@main.command("reset-demo")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset_demo(yes: bool) -> None:
    """Throw the demo clinic away and make it again."""
    _refuse_production(config := load_config())
    with lock.claim(config):
        with _portal(config):
            where = db.engine.url.render_as_string(hide_password=True)
            if not yes:
                click.confirm(f"Delete everything in {where}?", abort=True)
            _empty_database(config)
        shutil.rmtree(config.mail_dir, ignore_errors=True)
        prepare_database(config)


@main.command("roll-horizon")
def roll_horizon() -> None:
    """Extend the doctors' sessions to the booking horizon now instead of tonight."""
    with _portal(load_config()):
        jobs.roll_horizon()


@main.command()
def check() -> None:
    """Look whether all rows are as they must be now; what is wrong is listed, and the command fails."""
    with _portal(load_config()):
        checks = self_check.run_checks()
    for each in checks:
        click.echo(f"{'ok   ' if not each.count else 'WRONG'} {each.name} ({each.looked_at:,} looked at)")
        for finding in each.findings:
            click.echo(f"        {finding.table} {finding.row_id or ''} {finding.words}".replace("  ", " "))
    if wrong := sum(bool(each.count) for each in checks):
        raise click.ClickException(f"{wrong} of {len(checks)} are not as they must be.")


@main.command("verify-audit")
@click.option("--noted", help="A seal as it was noted before, NUMBER:DIGEST: the chain must still have it.")
def verify_audit(noted: str | None) -> None:
    """Work out the whole chain over the audit log anew; faults are listed, and the command fails."""
    with _portal(load_config()), snapshot() as session:
        found = audit_seal.verify(session, noted=_seal(noted) if noted else None)
    for number, code in found.faults:
        click.echo(f"seal {number}: {code.replace('_', ' ')}")
    if found.fault_count:
        raise click.ClickException(f"{found.fault_count} faults in {found.newest.number:,} sealed entries.")
    click.echo(f"{found.newest.number:,} sealed entries, no fault. The newest seal, to be noted: {found.newest}")


def _seal(noted: str) -> audit_seal.Seal:
    number, _, digest = noted.partition(":")
    if not number.isdecimal() or not digest:
        raise click.ClickException("A noted seal is a number, a colon and a digest.")
    return audit_seal.Seal(int(number), digest)


@main.command("create-account")
@click.option("--role", type=click.Choice([RoleName.ADMIN.value, RoleName.FRONT_DESK.value]), required=True)
@click.argument("email")
def create_account(role: str, email: str) -> None:
    """Open an account for staff, and print the link to set its password: it works once, for 4 hours."""
    with create_app().app_context():
        account = registering.open_account(email=emails.clean(email), role=RoleName(role))
        click.echo(address_of("entrance.new_password", token=tokens.make(tokens.Purpose.RESET, account)))


@main.command("invite-patient")
@click.argument("patient")
def invite_patient(patient: str) -> None:
    """Print a code for a patient's own account: PATIENT is their public id, or the reference of a visit of theirs."""
    with create_app().app_context():
        found = invitations.find_patient(db.session(), patient)
        click.echo(invitations.invite(actor=audit.SYSTEM, patient_id=found.id))


@main.command("reset-second-factor")
@click.argument("email")
def reset_second_factor(email: str) -> None:
    """Take away what somebody shows beside the password, because they have lost it; they are told by mail."""
    with create_app().app_context():
        second_step.reset(actor=audit.SYSTEM, email=emails.clean(email))
    click.echo("Done. They are signed out everywhere, and sign in with their password until they set it up again.")


@main.command()
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Where backups are kept [DATA_DIR/backups].")
@click.option("--keep", type=click.IntRange(1), help="Delete all but this many of the newest there.")
def backup(folder: Path | None, keep: int | None) -> None:
    """Copy the whole database while the portal runs, and check the copy."""
    folder = folder or load_config().data_dir / "backups"
    made, manifest = backups.back_up(load_config(), folder)
    click.echo(f"{made}: {manifest.rows} rows of {len(manifest.tables)} tables.")
    for old in backups.drop_old(folder, keep) if keep else []:
        click.echo(f"Deleted {old}.")


@main.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(backup: Path) -> None:
    """Bring a BACKUP into an empty database, compare all of it with what was copied, and bring it up to date."""
    config = load_config()
    with lock.claim(config):
        manifest = backups.restore(config, backup)
        click.echo(f"{manifest.rows} rows of {len(manifest.tables)} tables are as they were at {manifest.made_at}.")
        with _portal(config):
            _upgrade(config)


@main.command("web")
def serve_web() -> None:
    """Run only the web server."""
    config = load_config()
    # A database that is away now may come back; until then pages say so.
    with contextlib.suppress(DBAPIError):
        _refuse_unset(config)
    web.serve(config)


@main.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--visit-type", help="Only for the visit type of this name.")
def set_value(name: str, value: str, visit_type: str | None) -> None:
    """Set one of the clinic's own settings; `--visit-type NAME` sets it for one visit type only."""
    definition = BY_NAME.get(name)
    if definition is None:
        raise click.ClickException(f"There is no setting {name!r}. Settings: {', '.join(BY_NAME)}.")
    is_number = isinstance(definition.default, int)
    if is_number and not value.isdecimal():
        raise click.ClickException(f"{name} must be a whole number of {definition.unit}.")
    with create_app().app_context():
        change_setting(actor=audit.SYSTEM, name=name, value=int(value) if is_number else value, visit_type=visit_type)
    click.echo(f"{name} is now {value!r}{f' for {visit_type}' if visit_type else ''}.")


main.add_command(worker.work)
main.add_command(worker.sweep)


@contextlib.contextmanager
def _portal(config: Config) -> Iterator[None]:
    """The portal's database for one command; its connections are closed at the end."""
    with create_app(config).app_context():
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def _upgrade(config: Config) -> None:
    flask_migrate.upgrade()
    choose_grid(grid_min=config.grid_min)


def prepare_database(config: Config) -> None:
    """Bring the database to the newest schema, and fill it with the demo clinic when it is empty and a demo."""
    click.echo("Preparing the database ...")
    with _portal(config):
        _upgrade(config)
        if config.environment == DEMO and demo.is_empty():
            click.echo("Making the demo clinic ...")
            demo.seed()


def _empty_database(config: Config) -> None:
    """Migrations only go forward, so an empty database is a new one."""
    if config.is_sqlite:
        path = Path(str(db.engine.url.database))
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            file.unlink(missing_ok=True)
        return
    with db.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))


def _refuse_unset(config: Config) -> None:
    """In production patients see nothing before the clinic has said whom to call."""
    if not config.is_production:
        return
    app = create_app(config)
    with app.app_context():
        missing = missing_settings(db.session())
        db.session.remove()
        db.engine.dispose()
    if missing:
        raise click.ClickException(health.unset_words(missing))


def _refuse_production(config: Config) -> None:
    if config.is_production:
        raise click.ClickException("The demo clinic is not for PORTAL_ENV=production.")


def _say(text: str) -> None:
    # A terminal that was closed must not keep the portal from stopping in good order.
    with contextlib.suppress(OSError):
        click.echo(text)


def _greet(config: Config) -> None:
    _say(f"\nThe clinic portal is at {config.base_url}")
    if config.environment == DEMO:
        rows = [("Sign in as", "e-mail", "password"), *demo.sign_ins()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            _say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _say(f"Logs are in {config.data_dir / 'logs'}. Ctrl-C stops everything.\n")


if __name__ == "__main__":
    main()
