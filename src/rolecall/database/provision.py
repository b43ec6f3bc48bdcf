"""Provide what a run needs before its first test: a server with both templates, built now or from the cache."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg

from rolecall.access.world import World
from rolecall.catalog.manifest import Manifest
from rolecall.database import cache, load
from rolecall.database.cache import TemplateCache
from rolecall.database.run import run_on
from rolecall.database.templates import manifest_of
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.report.progress import BuildStep, Progress, no_progress
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.server.cluster import PRIVATE, PUBLIC, Cluster
from rolecall.server.waits import Timeouts
from rolecall.settings import Settings


@contextmanager
def provision(settings: Settings, world: World) -> Iterator[Provisioner]:
    """Provide the server of this run for the block. :meth:`Provisioner.build` then creates the databases.

    A throwaway server starts in the background, while pytest imports and collects tests.
    Raises RolecallError if there is no server.
    """
    with choose.choose_server(settings) as server:
        if server.cluster:
            yield ClusterProvisioner(server, server.cluster, settings, world)
        else:
            from rolecall.database.cleanup import owned

            provisioner = Provisioner(server, settings, world)
            with owned(provisioner.run):
                yield provisioner


class Provisioner:
    """Builds the templates on a running server."""

    def __init__(self, server: Server, settings: Settings, world: World) -> None:
        self.settings, self.world = settings, world
        self.run = run_on(server, Timeouts.of(settings))

    def build(self, progress: Progress = no_progress, *, fit: bool = False) -> Manifest:
        """Create both templates. Raises RolecallError or SqlError for the first step that fails.

        With ``fit``, the world is reduced to the tables and columns that the schema has: it was made for another one.
        """
        manifest = self.build_schema(progress)
        if fit:
            from rolecall.database.earlier import fitting

            with self.run.connect(self.run.template) as connection:
                self.world = fitting(connection, self.world)
        progress(BuildStep("the rows of the world"))
        return manifest.without(load.load(self.run, self.world, self.settings.seed, manifest.role))

    def build_schema(self, progress: Progress = no_progress) -> Manifest:
        """Create both databases without the seed and the world. Raises what :meth:`build` raises."""
        from rolecall.database import build

        return build.build(self.run, self.settings, progress)


class ClusterProvisioner(Provisioner):
    """Builds the templates on a throwaway server, or takes them from the template cache."""

    def __init__(self, server: Server, cluster: Cluster, settings: Settings, world: World) -> None:
        super().__init__(server, settings, world)
        # No marks: the whole server is thrown away, or cached for a run with another token.
        self.run = replace(self.run, token="")
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
        self._check = _check_in_background(self.cache, self.archive) if self.cache and self.archive else None

    def _start(self) -> None:
        # A server that will be cached is stopped once more. Until then, no worker may find it.
        self.cluster.start(self.archive, port=PRIVATE if self.cache and not self.archive else PUBLIC)

    def _start_empty(self, templates: TemplateCache, archive: Path) -> None:
        """Remove an archive that cannot be used, and start without it."""
        templates.remove(archive)
        self.archive = None
        self.cluster.clear()
        self._start()

    def build_schema(self, progress: Progress = no_progress) -> Manifest:
        """Take both databases from the cache if a server starts with them. Otherwise build and cache them."""
        progress(BuildStep("the server starts"))
        if self.cache and self.archive and self._check:
            with suppress(RolecallError, psycopg.Error):
                if self._check.result():
                    self.cluster.wait()
                    return manifest_of(self.run)
            self._start_empty(self.cache, self.archive)
        from rolecall.database import build  # with the databases of an earlier run, nothing is built

        build.parse_ahead(self.settings)
        self.cluster.wait()
        if self.cache is None:
            return build.build(self.run, self.settings, progress)
        private = replace(self.run, conninfo=Conninfo(self.cluster.private_conninfo))
        manifest = build.build(private, self.settings, progress)
        progress(BuildStep("the databases are kept for the next run"))
        self.cluster.stop(signal.SIGINT)
        self.cache.put(self.cluster)
        self.cluster.start()
        self.cluster.wait()
        return manifest


def _check_in_background(templates: TemplateCache, archive: Path) -> Future[bool]:
    """Check an archive in a thread, while the server starts and pytest imports the tests. No worker gets a test yet."""
    pool = ThreadPoolExecutor(1)
    result = pool.submit(templates.is_whole, archive)
    pool.shutdown(wait=False)
    return result
