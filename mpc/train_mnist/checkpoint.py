"""Checkpoints: each role writes its own shares and state, so that a run can go on.

A checkpoint is a point between two batches. A worker's file has its shares of the
weights, the server's file the losses and counts that were revealed to it, and each file
the public point. Data are not stored: their owners share them again.

Without --reproducible, all keys are fresh after a resume. With it, the keys are those
of the first process, so every coin must meet the same value again. Initial weights and
data are shared again under the coins of the first time, and pictures that were open are
opened again under their masks (`repeat_opening`). Then the World's counter continues
from the checkpoint. All later messages equal those of an uninterrupted run.

A file is a line with the format, a line with the SHA-256 of the rest, a line of JSON,
and arrays. It is written as a `Draft`, so it is whole or missing.
All roles meet after each batch (`handshake.meet`). So when a role writes, all others
have written the checkpoint before. Each role keeps its last two files, and the newest
checkpoint that all roles have is one of these.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import signal
import threading
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

import data
from mpc.beaver import MASKS, mask_of, masked
from mpc.fixed_point import FixedPoint
from mpc.randomness import fresh_key
from mpc.share import Share
from mpc.train_mnist.options import common_options, roles_here
from mpc.train_mnist.save import Draft
from mpc.transport import handshake
from mpc.transport.link import Disagreement
from mpc.world import World, role_names
from nn import Module

FORMAT = b"mpc-numpy checkpoint 1"
MOST_BYTES = 10**8          # of a file; the shares of the network take a hundredth
EARLIER = "delete it to go on from an earlier checkpoint"
# These do not change the result.
SCHEDULE = "checkpoint", "resume", "every", "preprocess", "deal"


class Point(NamedTuple):
    """The public part of a checkpoint, the same in all roles."""

    session: str        # a random name, common to the roles that wrote it together
    done: int           # batches trained, of all epochs
    epoch: int          # of the last batch, from 1
    batch: int          # in its epoch, from 1
    counter: int        # of the World
    losses: int         # revealed so far
    counts: int
    opened: list        # [split, batch, part, label of the mask, its counter]

    def name(self) -> str:
        return handshake.digest(json.dumps(self._asdict()).encode())


class Saved(NamedTuple):
    """A file: the point, and the part of one role."""

    point: Point
    data: str | None            # a digest of the role's own data
    arrays: dict[str, bytes]    # of the role alone


class NoCheckpoints:
    """A run without checkpoints."""

    done = 0        # batches that earlier processes have trained

    def restore(self, model: Module, batches: dict[str, Sequence]) -> tuple[list, list]:
        return [], []

    def noting_interrupts(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def after_batch(self, epoch: int, batch: int, losses: list, counts: list) -> bool:
        return False


class Checkpoints(NoCheckpoints):
    """The checkpoints of a run: where it starts, and when it writes the next one."""

    def __init__(self, options: Namespace, world: World):
        self.world, self.folder = world, Path(folder_of(options))
        self.every, self.reproducible = options.every, options.reproducible
        self.parameters, self.interrupted = parameters_of(options), False
        self.digests = digests_of_data(options, world.workers_here)
        own = fresh_key().hex()
        nonces = handshake.meet(world, "session", dict.fromkeys(world.here, own))
        self.session = handshake.digest(*(nonces[r].encode() for r in world.roles))
        self._saved = self._newest(options) if options.resume else {}
        self.done = next((s.point.done for s in self._saved.values()), 0)
        self._last = self.done      # the batches of the last checkpoint

    def _newest(self, options):
        """{role: checkpoint} of the roles here: the newest that all roles have."""
        found = {role: files_of(self.folder, role, self.parameters,
                                self.digests.get(role)) for role in self.world.here}
        own = {role: {done: saved.point.name() for done, saved in files.items()}
               for role, files in found.items()}
        done = newest(handshake.meet(self.world, "checkpoints", own))
        return {role: files[done] for role, files in found.items()}

    # ------------------------------------------------------------------ the start

    def restore(self, model: Module, batches: dict[str, Sequence]) -> tuple[list, list]:
        """Put World and `model` into the state of the checkpoint to resume, if any.

        Returns the losses and counts that the server received before it (NaN in other
        roles). The `model` and the `batches` {"train": ..., "test": ...} have just been
        shared, as at the start of a run.
        """
        self._model, self._batches = model, batches
        if not self._saved:
            return [], []
        point = next(iter(self._saved.values())).point
        for split, batch, part, label, counter in point.opened:
            repeat_opening(batches[split][batch][part].value, label, counter)
        self.world.counter = point.counter
        for name, parameter in model.named_parameters():
            parameter.value = self._with_saved_shares(parameter.value, name)
        revealed = [np.full(n, np.nan) for n in (point.losses, point.counts)]
        if "server" in self._saved:
            whole = np.frombuffer(self._array("server", "revealed"), "<f8")
            revealed = np.split(whole, [point.losses])
        self._saved = {}
        return revealed[0].tolist(), revealed[1].tolist()

    def _array(self, role, name):
        """An array of the checkpoint to resume, as bytes; b"" if it is missing."""
        return self._saved[role].arrays.get(name, b"")

    def _with_saved_shares(self, value, name):
        """A parameter with the workers' saved shares, in its format."""
        share = value.value
        rows = [share.ring.unpack(self._array(worker, name), share.shape)
                for worker in self.world.workers_here]
        stacked = np.stack(rows) if rows else share.rows
        if (stacked > share.ring.modulus - 1).any():
            raise ValueError(f"--resume {self.folder}: shares of {name} are not "
                             f"elements of {share.ring}; take an earlier checkpoint")
        return FixedPoint(Share(self.world, share.ring, stacked), value.base,
                          value.precision, value.scale, value.weight_scale, value.rest)

    # ------------------------------------------------------------------ each batch

    @contextmanager
    def noting_interrupts(self) -> Iterator[None]:
        """Within it, the first Ctrl-C ends the run after the batch; a second, at once.
        """
        if threading.current_thread() is not threading.main_thread():
            yield               # only the main thread receives signals
            return

        def note(*_):
            self.interrupted = True
            signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def after_batch(self, epoch: int, batch: int, losses: list, counts: list) -> bool:
        """Write a checkpoint if one is due; did it?

        All roles meet, and if Ctrl-C interrupted one of them, all write and stop with
        a `KeyboardInterrupt` that says how to go on.
        """
        told = handshake.meet(self.world, "interrupted",
                              dict.fromkeys(self.world.here, self.interrupted))
        done = (epoch - 1) * len(self._batches["train"]) + batch
        if not any(told.values()) and done % self.every:
            return False
        opened = sorted(openings(self._batches), key=lambda entry: entry[-1])
        point = Point(self.session, done, epoch, batch, self.world.counter,
                      len(losses), len(counts), opened if self.reproducible else [])
        for role in self.world.here:
            self._write(role, point, self._arrays(role, losses, counts))
        self._last = done
        if any(told.values()):
            handshake.meet(self.world, "written", dict.fromkeys(self.world.here, True))
            raise KeyboardInterrupt(
                f"interrupted after {done} batches; --resume {self.folder} with the "
                "same options goes on from here")
        return True

    def _arrays(self, role, losses, counts):
        """The arrays that `role` alone holds."""
        if role == "server":
            return {"revealed": np.array([*losses, *counts], "<f8").tobytes()}
        shares = {name: p.value.value for name, p in self._model.named_parameters()}
        return {name: share.ring.pack(row) for name, share in shares.items()
                for worker, row in zip(self.world.workers_here, share.rows, strict=True)
                if worker == role}

    def _write(self, role, point, arrays):
        header = {"role": role, "point": point._asdict(), "parameters": self.parameters,
                  "data": self.digests.get(role),
                  "arrays": {name: len(array) for name, array in arrays.items()}}
        body = json.dumps(header).encode() + b"\n" + b"".join(arrays.values())
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.folder / file_name(role, point.done), body)
            for done, path in listed(self.folder, role).items():
                if done not in (self._last, point.done):
                    path.unlink()
        except OSError as error:
            raise OSError(f"checkpoint {self.folder}: {error.strerror or error}; make "
                          "room there, and resume") from None


# ------------------------------------------------------------------ points


def newest(names: dict[str, dict]) -> int:
    """The largest number of batches after which all roles have the same point.

    `names` are {role: {batches: name of the point}}; JSON made texts of the batches.
    """
    points = {role: {(int(done), name) for done, name in own.items()}
              for role, own in names.items()}
    common = set.intersection(*points.values())
    if not common:
        has = "; ".join(f"{role} after batch "
                        f"{', '.join(str(done) for done, _ in sorted(own))}"
                        for role, own in points.items())
        raise Disagreement("no checkpoint of one run is there for all roles, which "
                           f"have: {has}; name the folders of one run")
    return max(common)[0]


def openings(batches: dict[str, Sequence]) -> Iterator[list]:
    """[split, batch, part, label of the mask, its counter] of each open secret."""
    for split, kept in batches.items():
        for i, batch in enumerate(kept if isinstance(kept, list) else ()):
            for part, x in enumerate(batch):
                if mask := mask_of(x.value):
                    yield [split, i, part, mask.label, mask.counter]


def repeat_opening(x: Share, label: str, counter: int) -> None:
    """Open x under the mask with this label that was drawn at this step.

    With the key of that time it is the same coin for the same value, and the workers
    send the same messages.
    """
    *path, mask = label.split("/")
    message = next(name for name, its_mask in MASKS.items() if its_mask == mask)
    x.world.counter = counter - 1
    with ExitStack() as steps:
        for name in path:
            steps.enter_context(x.world.ledger.step(name))
        masked(**{message: x})


# ------------------------------------------------------------------ files


def check_folder(options: Namespace) -> str | None:
    """Why the roles of this process cannot keep checkpoints, in one line, or None."""
    name, folder = "resume" if options.resume else "checkpoint", folder_of(options)
    try:
        if options.resume:
            _check_files(options, Path(folder))
        elif folder and any(listed(Path(folder), role) for role in roles_here(options)):
            raise ValueError("has checkpoints of an earlier run; go on with --resume, "
                             "or name another folder")
        if folder:
            _try_to_write(Path(folder), roles_here(options)[0])
    except OSError as error:
        return f"--{name} {folder}: {error.strerror or error}; name another folder"
    except ValueError as error:
        return f"--{name} {folder}: {error}"
    return None


def _check_files(options, folder):
    """Raise unless all roles here have whole files of this run."""
    roles, parameters = roles_here(options), parameters_of(options)
    digests = digests_of_data(options, roles)
    for role in roles:
        if not files_of(folder, role, parameters, digests.get(role)):
            raise ValueError(f"has no checkpoint of {role}; name the folder that was "
                             "given to --checkpoint")


def _try_to_write(folder, role):
    """Make the folder, and a file in it, which no other role uses."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Draft(folder / role):
        pass


def folder_of(options: Namespace) -> str:
    return options.checkpoint or options.resume


def files_of(folder: Path, role: str, parameters: dict[str, str],
             own: str | None) -> dict[int, Saved]:
    """{batches: checkpoint} of a `role`; raises unless each is whole and of this run.

    That is one of these public parameters; `own` is the digest of the role's data, if
    masks are reproducible.
    """
    return {done: _checked(path, role, done, parameters, own)
            for done, path in listed(folder, role).items()}


def listed(folder: Path, role: str) -> dict[int, Path]:
    """{batches: file} of the checkpoints of a `role` in the `folder`, oldest first."""
    found = {}
    for path in folder.iterdir() if folder.exists() else ():
        if match := re.fullmatch(rf"{role}-(\d{{8,}})\.checkpoint", path.name):
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def file_name(role: str, done: int) -> str:
    return f"{role}-{done:08d}.checkpoint"


def write_whole(path: Path, body: bytes) -> None:
    """Write a file of mode 600, all or nothing, with the checksum of its `body`."""
    checksum = hashlib.sha256(body).hexdigest().encode()
    with Draft(path, 0o600) as draft:
        draft.file.write(b"\n".join((FORMAT, checksum, body)))
        draft.publish()


def read_whole(path: Path) -> tuple[dict, bytes]:
    """The JSON and the arrays of a file; raises ValueError if a bit is wrong."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError
        found, checksum, body = path.read_bytes().split(b"\n", 2)
        if found != FORMAT:
            raise ValueError
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); correct its "
                         "permissions") from None
    except ValueError:
        raise ValueError(f"{path}: not a checkpoint of this version; start the "
                         "version that wrote it") from None
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError(f"{path}: damaged, its checksum is wrong; {EARLIER}")
    head, _, arrays = body.partition(b"\n")
    try:
        return json.loads(head), arrays
    except (ValueError, RecursionError):
        raise ValueError(f"{path}: malformed; {EARLIER}") from None


def _checked(path, role, done, parameters, own):
    """The checkpoint in this file; `own` is the digest of the role's data."""
    header, payload = read_whole(path)
    try:
        saved = Saved(Point(**header["point"]), header["data"], {})
        for name, size in header["arrays"].items():
            saved.arrays[name], payload = payload[:size], payload[size:]
        named, theirs = (header["role"], saved.point.done), dict(header["parameters"])
        texts = [header["role"], *theirs, *theirs.values(), str(saved.point.done)]
        if not all(isinstance(text, str) and text.isprintable() for text in texts):
            raise ValueError
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError(f"{path}: malformed; {EARLIER}") from None
    if named != (role, done):
        raise ValueError(f"{path}: is of {named[0]} after {named[1]} batches; give it "
                         "back its name")
    if not _is_sound(saved.point):
        raise ValueError(f"{path}: malformed; {EARLIER}")
    check_parameters(path, theirs, parameters, "resume")
    if saved.data != own:
        raise ValueError(f"{path}: {role} had other data; with --reproducible, the "
                         "masks of those data must not hide others")
    return saved


def check_parameters(path: Path, theirs: dict, ours: dict, go_on: str) -> None:
    """Raise ValueError unless a file has these parameters; `go_on` is a verb."""
    for name in sorted(ours.keys() | theirs.keys()):
        our, their = (values.get(name, "nothing") for values in (ours, theirs))
        if our != their:
            raise ValueError(f"{path}: was written with {name} {their}, not {our}; "
                             f"{go_on} with the options and the version of that run")


def _is_sound(point):
    """Do the numbers of a point have their type, and its openings their form?"""
    numbers = [*point[1:7]]
    try:
        for split, i, part, label, counter in point.opened:
            numbers += i, part, counter
            if split not in ("train", "test") or not isinstance(label, str):
                return False
    except (TypeError, ValueError):
        return False
    return all(type(n) is int and 0 <= n < 2**63 for n in numbers)


def parameters_of(options: Namespace) -> dict[str, str]:
    """The public parameters and versions on which a result depends, as texts."""
    chosen = {name: value for name, value in common_options(options).items()
              if name not in SCHEDULE}
    versions = handshake.versions()
    ours = {name: versions[name] for name in ("code", "python", "numpy")}
    return handshake.as_texts({**ours, **chosen})


def digests_of_data(options: Namespace, roles: Iterable[str]) -> dict[str, str]:
    """{worker: a digest of its data} for the workers in `roles`, with --reproducible.

    Without it masks are fresh, and a digest would only confirm a guess of the data to
    a thief of the file.
    """
    owners = [name for name in role_names(options.workers)[1:-1] if name in roles]
    parts: dict[str, list] = {name: [] for name in owners if options.reproducible}
    for split in ("train", "test") if parts else ():
        n = getattr(options, f"{split}_items")
        loaded = data.load_mnist(split, n, options.data_dir)
        slices = data.owner_slices(n, options.workers)
        for name, own in zip(role_names(options.workers)[1:-1], slices, strict=True):
            if name in parts:
                parts[name] += [array[own].tobytes() for array in loaded]
    return {name: handshake.digest(*own) for name, own in parts.items()}
