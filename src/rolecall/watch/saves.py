"""Which files were saved. A process of its own watches the folders, and sends the paths through a pipe.

watchdog works with threads, and a process with threads must not fork: a lock that another thread holds stays locked in
the child. So the process that watches is not the one that forks the runs.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

END = b"\0"  # of a path; alone: the folders are watched from now on
# A file that is written in place is complete when it is closed. Other systems than Linux do not report that.
CLOSED = {"closed", "moved", "deleted"}
WRITTEN = {"created", "modified", "moved", "deleted"}


def is_left_out(folder: Path) -> bool:
    """Whether a folder holds no files of the project: hidden, of npm, or a virtual environment."""
    return folder.name.startswith(".") or folder.name == "node_modules" or (folder / "pyvenv.cfg").is_file()


class Saves:
    """The saved files below some folders. ``fileno`` is readable when there are new ones."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Start to watch. Raises RolecallError if the folders cannot be watched."""
        self.folders = sorted(folders)
        self._reader, writer = os.pipe()
        lifeline, self._lifeline = os.pipe()
        self._rest = b""
        sys.stdout.flush()
        self._process = os.fork()
        if not self._process:
            self.close_in_child()
            _watch(self.folders, writer, lifeline)
        os.close(writer)
        os.close(lifeline)
        if not os.read(self._reader, len(END)):
            raise RolecallError("the folders of the project cannot be watched.")

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._reader

    def read(self) -> set[Path]:
        """The files that were saved, renamed or removed since the last call. Waits for one.

        Raises RolecallError if the process that watches has ended.
        """
        data = os.read(self._reader, 1 << 16)
        if not data:
            raise RolecallError("the process that watches the folders has ended. Start the command again.")
        *paths, self._rest = (self._rest + data).split(END)
        return {Path(os.fsdecode(path)) for path in paths if path}

    def close_in_child(self) -> None:
        """Close this process's descriptors in a child: the lifeline must end with the parent."""
        os.close(self._reader)
        os.close(self._lifeline)

    def close(self) -> None:
        """Stop watching."""
        self.close_in_child()
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)


# ------------------------------------------------------------------ the process that watches


def _watch(folders: Iterable[Path], writer: int, lifeline: int) -> None:
    """Report saves until the parent has ended. Does not return."""
    try:
        os.setpgid(0, 0)  # Ctrl-C is for the parent
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        _start(list(folders), writer)
        os.write(writer, END)
        os.read(lifeline, 1)
    except BaseException as error:
        print(f"ERROR: {error}", file=sys.stderr)
    finally:
        os._exit(0)


def _start(folders: list[Path], writer: int) -> None:
    from watchdog.observers import Observer
    from watchdog.observers.polling import PollingObserver

    kinds = CLOSED if sys.platform == "linux" else WRITTEN
    for observer, reported in ((Observer(), kinds), (PollingObserver(), WRITTEN)):
        reporter = _Reporter(observer, reported, writer)
        try:
            for folder in folders:
                reporter.watch(folder)
            observer.start()
            return
        except OSError as error:  # the system has a limit of watches
            print(f"rolecall: the folders are polled, which takes longer: {error}", file=sys.stderr)


class _Reporter:
    """Writes the paths of events into a pipe. Each new folder is watched, too."""

    def __init__(self, observer: BaseObserver, kinds: set[str], writer: int) -> None:
        self.observer, self.kinds, self.writer = observer, kinds, writer
        self._trees: set[Path] = set()

    def watch(self, folder: Path) -> None:
        """Watch a folder, with all below it that is not left out. Raises OSError."""
        for path, recursive in watches(folder):
            self.observer.schedule(self, str(path), recursive=recursive)  # type: ignore[arg-type]
            if recursive:
                self._trees.add(path)

    def dispatch(self, event: FileSystemEvent) -> None:
        """Handle an event, as watchdog's handlers do. After an error nothing would be reported, so the process ends."""
        try:
            self._handle(event)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _handle(self, event: FileSystemEvent) -> None:
        paths = [Path(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path]
        if not event.is_directory:
            if event.event_type in self.kinds:
                self._report(paths)
        elif event.event_type in ("created", "moved") and not is_left_out(paths[-1]):
            with suppress(OSError):  # it may be gone again
                if self._trees.isdisjoint(paths[-1].parents):
                    self.watch(paths[-1])
                self._report(path for path in paths[-1].rglob("*") if path.is_file())

    def _report(self, paths: Iterable[Path]) -> None:
        if data := b"".join(os.fsencode(path) + END for path in paths):
            os.write(self.writer, data)


def watches(folder: Path) -> list[tuple[Path, bool]]:
    """The folders to watch for a folder, and whether with all that is below: a whole tree has one watch.

    A folder that has one to leave out is watched alone, and each other one below it by itself.
    """
    children = list(_folders(folder))
    below = [watches(child) for child in children if not is_left_out(child)]
    is_whole = len(below) == len(children) and all(len(each) == 1 and each[0][1] for each in below)
    return [(folder, True)] if is_whole else [(folder, False), *(watch for each in below for watch in each)]


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from sorted(folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
