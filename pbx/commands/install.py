"""`gerbang install`: bring the machine to where `gerbang run` works."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from pbx.commands import SET_UP

if TYPE_CHECKING:
    from pbx.asterisk.host import Tell
    from pbx.settings import Settings


def register(app: typer.Typer) -> None:
    """Add `gerbang install`."""

    @app.command(rich_help_panel=SET_UP)
    def install(
        dev: bool = typer.Option(
            False,
            "--dev",
            help="Also what the tests need: softphones, SIPp, PostgreSQL.",
        ),
        check: bool = typer.Option(
            False, "--check", help="Only say what is missing; exit 1 if anything is."
        ),
    ) -> None:
        """Install what 112 runs on: Debian packages, Asterisk's user and Asterisk.

        Asterisk comes in a small private Debian root, built once from the mirror this
        machine's apt uses (half a minute, 0.3 GB) and kept in GERBANG_CACHE (default
        ~/.cache/gerbang112). Run it as often as you like: what is there stays.

        [bold]gerbang install[/bold]            as root, before the first run
        [bold]gerbang install --check[/bold]    what is missing, without installing it
        [bold]gerbang install --dev[/bold]      also for the tests

        GERBANG_ASTERISK_ROOT names another root; "/" is the machine's own.
        Exit status 0: all is there. 1: something is missing; the text says what.
        """
        from pbx.settings import Settings

        raise typer.Exit(_missing(Settings(), dev) if check else _all(Settings(), dev))


def _missing(settings: Settings, dev: bool) -> int:
    from pbx.asterisk import host, root
    from pbx.asterisk.sandbox import USER

    wanted = [f"{p.name}: {p.purpose}" for p in host.missing(tests=dev)]
    if os.geteuid() == 0 and not host.user_exists():
        wanted.append(f"the system user {USER}")
    try:
        found = root.find_root(settings)
    except root.NotInstalled as error:
        wanted.append(str(error))
    else:
        print(f"Asterisk {found.version} in {found.base}")
    for item in wanted:
        print(f"missing: {item}")
    if wanted:
        print("cure: gerbang install" + (" --dev" if dev else ""))
    return 1 if wanted else 0


def _all(settings: Settings, dev: bool) -> int:
    from pbx.asterisk import host, install, root

    started = time.monotonic()
    with _progress() as tell:
        try:
            host.install_packages(host.missing(tests=dev), tell)
            if os.geteuid() == 0:
                host.ensure_user()
            if os.environ.get(root.OVERRIDE):
                found = root.find_root(settings)
            else:
                found = install.build_root(settings, tell)
        except (host.InstallError, root.NotInstalled) as error:
            fault = str(error)
        else:
            fault = ""
    if fault:
        print(f"gerbang install: {fault}", file=sys.stderr)
        return 1
    took = time.monotonic() - started
    print(f"Asterisk {found.version} is ready in {found.base} ({took:.1f} s)")
    return 0


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal, a line a stage elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        said: list[str] = []

        def tell_plainly(doing: str, _done: float) -> None:
            if said[-1:] != [doing]:
                said.append(doing)
                print(doing, file=sys.stderr, flush=True)

        yield tell_plainly
        return
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0)

        def tell(doing: str, done: float) -> None:
            progress.update(task, description=doing, completed=done)

        yield tell
