"""What a run needs before its first test: a server with both templates, built now or kept from an earlier run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg

from rolecall.access.world import World
from rolecall.database import build, cache, manifest
from rolecall.database.cache import Kept
from rolecall.database.cleanup import owned
from rolecall.database.manifest import Manifest
from rolecall.database.run import run_on
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.server.cluster import PRIVATE, PUBLIC, Cluster
from rolecall.settings import Settings


@contextmanager
def supplied(settings: Settings, world: World) -> Iterator[Supply]:
    """The server of this run for the block, and the names of its databases; :meth:`Supply.build` makes these.

    A throwaway server is started and not waited for, so that it makes ready while tests are collected.
    Raises RolecallError where there can be none.
    """
    with choose.chosen(settings) as chosen:
        if chosen.cluster:
            yield Throwaway(chosen, chosen.cluster, settings, world)
        else:
            supply = Supply(chosen, settings, world)
            with owned(supply.run):
                yield supply


class Supply:
    """A server that somebody else runs: the templates are built there, and dropped at the end."""

    def __init__(self, chosen: Server, settings: Settings, world: World) -> None:
        self.settings, self.world = settings, world
        self.run = run_on(chosen)

    def build(self) -> Manifest:
        """Make both templates. Raises RolecallError or SqlError for the first thing that fails."""
        built = self._build()
        build.load(self.run, self.world)
        return built

    def _build(self) -> Manifest:
        return build.build(self.run, self.settings)


class Throwaway(Supply):
    """A server of our own, which can be stopped, so that the next run need not build what this one has built."""

    def __init__(self, chosen: Server, cluster: Cluster, settings: Settings, world: World) -> None:
        super().__init__(chosen, settings, world)
        self.run = replace(self.run, token="")  # all of it is thrown away, or kept for a run with another token
        self.cluster = cluster
        self.kept: Kept | None = None
        self.archive: Path | None = None
        if settings.kept:
            key = cache.key(settings, choose.binaries_of(settings))
            self.run = replace(self.run, name=f"rolecall_{key}")  # what is kept has its names already
            self.kept = Kept(settings.kept, key)
            if settings.fresh:
                self.kept.forget()
            self.archive = self.kept.find()
        self._start()
        # Looked at while the server starts, and before any worker is told where that is.
        if self.kept and self.archive and not self.kept.is_whole(self.archive):
            self._start_anew(self.kept, self.archive)

    def _start(self) -> None:
        # A server that is to be kept will be stopped once more: until then no worker is to find it.
        self.cluster.start(self.archive, port=PRIVATE if self.kept and not self.archive else PUBLIC)

    def _start_anew(self, of: Kept, archive: Path) -> None:
        """Without an archive that cannot be used, and that is removed."""
        of.remove(archive)
        self.archive = None
        self.cluster.clear()
        self._start()

    def _build(self) -> Manifest:
        """Have both databases there: of what was kept, if a server can be started of it, or built."""
        if self.kept and self.archive:
            with suppress(RolecallError, psycopg.Error):
                self.cluster.wait()
                return manifest.read(self.run)
            self._start_anew(self.kept, self.archive)
        self.cluster.wait()
        if self.kept is None:
            return build.build(self.run, self.settings)
        built = build.build(replace(self.run, conninfo=Conninfo(self.cluster.private)), self.settings)
        self.cluster.stop(signal.SIGINT)
        self.kept.put(self.cluster)
        self.cluster.start()
        self.cluster.wait()
        return built
