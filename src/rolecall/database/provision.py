"""What a run needs before its first test: a server with both templates, built now or taken from the cache."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg

from rolecall.access.world import World
from rolecall.catalog.manifest import Manifest
from rolecall.database import build, cache
from rolecall.database.cache import TemplateCache
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.database.templates import manifest_of
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.server.cluster import PRIVATE, PUBLIC, Cluster
from rolecall.settings import Settings


@contextmanager
def provision(settings: Settings, world: World) -> Iterator[Provisioner]:
    """The server of this run for the block, and the names of its databases; :meth:`Provisioner.build` creates these.

    A throwaway server is started and not waited for: it starts while pytest collects tests.
    Raises RolecallError if there is no server.
    """
    with choose.chosen(settings) as chosen:
        if chosen.cluster:
            yield ClusterProvisioner(chosen, chosen.cluster, settings, world)
        else:
            provisioner = Provisioner(chosen, settings, world)
            with owned(provisioner.run):
                yield provisioner


class Provisioner:
    """A running server: the templates are built there, and dropped at the end."""

    def __init__(self, chosen: Server, settings: Settings, world: World) -> None:
        self.settings, self.world = settings, world
        self.run = run_on(chosen)

    def build(self) -> Manifest:
        """Make both templates. Raises RolecallError or SqlError for the first thing that fails."""
        manifest = self._build()
        build.load(self.run, self.world)
        return manifest

    def _build(self) -> Manifest:
        return build.build(self.run, self.settings)


class ClusterProvisioner(Provisioner):
    """A throwaway server: it can be stopped and put into the template cache, so that the next run builds nothing."""

    def __init__(self, chosen: Server, cluster: Cluster, settings: Settings, world: World) -> None:
        super().__init__(chosen, settings, world)
        self.run = replace(
            self.run, token=""
        )  # the whole server is thrown away, or cached for a run with another token
        self.cluster = cluster
        self.cache: TemplateCache | None = None
        self.archive: Path | None = None
        if settings.cache_dir:
            key = cache.key(settings, choose.binaries_of(settings))
            self.run = replace(self.run, name=f"rolecall_{key}")  # the names in the cached databases
            self.cache = TemplateCache(settings.cache_dir, key)
            if settings.cache_clear:
                self.cache.clear()
            self.archive = self.cache.find()
        self._start()
        # Looked at while the server starts, and before any worker is told where that is.
        if self.cache and self.archive and not self.cache.is_whole(self.archive):
            self._start_empty(self.cache, self.archive)

    def _start(self) -> None:
        # A server that goes into the cache is stopped once more: no worker may find it before.
        self.cluster.start(self.archive, port=PRIVATE if self.cache and not self.archive else PUBLIC)

    def _start_empty(self, templates: TemplateCache, archive: Path) -> None:
        """Start again without an archive that cannot be used, and remove it."""
        templates.remove(archive)
        self.archive = None
        self.cluster.clear()
        self._start()

    def _build(self) -> Manifest:
        """Take both databases from the cache, if a server starts with them; otherwise build them."""
        if self.cache and self.archive:
            with suppress(RolecallError, psycopg.Error):
                self.cluster.wait()
                return manifest_of(self.run)
            self._start_empty(self.cache, self.archive)
        self.cluster.wait()
        if self.cache is None:
            return build.build(self.run, self.settings)
        manifest = build.build(replace(self.run, conninfo=Conninfo(self.cluster.private)), self.settings)
        self.cluster.stop(signal.SIGINT)
        self.cache.put(self.cluster)
        self.cluster.start()
        self.cluster.wait()
        return manifest
