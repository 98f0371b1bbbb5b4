"""How roles in different processes verify that they run the same program.

At the start all roles compare versions, sources and public parameters, and each group
of roles agrees on its key and confirms it. Between two steps of a program they can meet
and compare public values (`meet`). At the end they compare their ledgers.
"""

from __future__ import annotations

import hashlib
import json
import operator
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mpc.ledger import Ledger
from mpc.randomness import KEY_BYTES, fresh_key, stream
from mpc.transport.error_report import PACKAGES, ROOT, is_program
from mpc.transport.link import ADVICE, Disagreement, Link, ProtocolError
from mpc.world import World, key_groups

START = (0, "handshake")
MARK = 8                # characters of a digest that stand for one message of a ledger


def exchange(names: tuple, role: str, link: Link, header: tuple,
             payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Send `payload` to the other roles; yields (role, its payload) for each."""
    others = [name for name in names if name != role]
    for other in others:
        link.put(role, other, header, payload)
    for other in others:
        yield other, bytes(link.get(other, role, header))


# ------------------------------------------------------ programs and parameters


def versions() -> dict:
    """The versions and hashes of sources that must be the same in all roles.

    The sources are those of the three packages and of the user's program: the file that
    was started, and every loaded module outside Python and its installed packages.
    Modules that are loaded later and code given to `python -c` are not compared.
    """
    paths = [path for package in PACKAGES
             for path in sorted(Path(ROOT, package).rglob("*.py"))]
    code = [part for path in paths
            for part in (path.relative_to(ROOT).as_posix().encode(), path.read_bytes())]
    files = {name: getattr(module, "__file__", None) or ""
             for name, module in list(sys.modules.items())}
    sources = {f"source of {name}": digest(Path(file).read_bytes())
               for name, file in files.items() if is_program(file)}
    return {"code": digest(*code),
            "python": ".".join(map(str, sys.version_info[:2])),
            "numpy": ".".join(np.__version__.split(".")[:2]), **sources}


def digest(*parts: bytes) -> str:
    """A short hash of these byte strings."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()[:16]


def as_texts(values: dict) -> dict:
    """Public `values` as JSON texts, which tell 1, 1.0 and True apart."""
    texts = {}
    for name, value in values.items():
        try:
            texts[name] = json.dumps(value, sort_keys=True, default=operator.index)
        except TypeError:
            raise ValueError(
                f"MpiWorld: {name} is a {type(value).__name__}, which roles cannot "
                "compare; give numbers, texts, lists and dicts") from None
    return texts


def compare_parameters(names: tuple, role: str, link: Link, texts: dict) -> None:
    """Raise `Disagreement` unless every role has the same `texts`."""
    message = json.dumps(texts).encode()
    for other, payload in exchange(names, role, link, START, message):
        try:
            theirs = dict(json.loads(payload))
        except (ValueError, TypeError):
            raise ProtocolError(f"{role} cannot read the handshake of {other}; start "
                                "all roles from the same version") from None
        for name in sorted(texts.keys() | theirs.keys()):
            their, our = theirs.get(name, "nothing"), texts.get(name, "nothing")
            if their != our:
                raise Disagreement(f"{other} was started with {name} {their} and "
                                   f"{role} with {our}; start all roles alike")


# ------------------------------------------------------------------ keys


def agree_on_keys(names: tuple, role: str, link: Link) -> dict:
    """The keys of `role`; the first role of each group draws the key for the others."""
    keys = {}
    for group in key_groups(names):
        first, *others = (name for name in names if name in group)
        header = (0, f"key of {', '.join((first, *others))}")
        if role == first:
            keys[group] = fresh_key()
            for other in others:
                link.put(role, other, header, keys[group])
        elif role in group:
            keys[group] = bytes(link.get(first, role, header))
            if len(keys[group]) != KEY_BYTES:
                raise ProtocolError(
                    f"{first} sent {role} a key of {len(keys[group])} bytes instead of "
                    f"{KEY_BYTES}; start all roles from the same version")
    return keys


def confirm_keys(names: tuple, role: str, link: Link, keys: dict) -> None:
    """Raise `Disagreement` unless all roles of each group hold the same key.

    Each role proves its key with a number from a stream that no draw uses, since the
    counters of draws begin at 1. The number reveals nothing about the key or its coins.
    """
    for group in (group for group in key_groups(names) if role in group):
        members = tuple(name for name in names if name in group)
        header = (0, f"proof of the key of {', '.join(members)}")

        def proof(name, key=keys[group], label=header[1]):
            return stream(key, f"{label} by {name}", 0)(KEY_BYTES)

        for other, theirs in exchange(members, role, link, header, proof(role)):
            if theirs != proof(other):
                raise Disagreement(f"{other} and {role} hold different keys of the "
                                   f"group {', '.join(members)}; start the run again")


# ------------------------------------------------------------------ between two steps


def meet(world: World, name: str, own: dict) -> dict:
    """{role: value} of all roles; `own` has the public values of those here, as JSON.

    No role goes on before all have arrived. No ledger counts these messages, and the
    World's counter stays: a program has the same coins with and without such meetings.
    A process that hosts all roles sends no message.
    """
    if world._link is None:
        return own
    (role, value), = own.items()
    header, payload = (world.counter + 1, name), json.dumps(value).encode()
    told = exchange(world.roles, role, world._link.uncounted(), header, payload)
    try:
        found = own | {other: json.loads(theirs) for other, theirs in told}
        return {name: found[name] for name in world.roles}
    except ValueError:
        raise ProtocolError(f"{role} cannot read the message {name}; start all roles "
                            "from the same version") from None


# ------------------------------------------------------------------ ledgers


def compare_ledgers(names: tuple, role: str, link: Link, ledger: Ledger,
                    counter: int) -> None:
    """Raise `Disagreement` unless all roles have the same `ledger` at step `counter`.

    Each role sends a digest of all its messages. Two roles that differ then exchange
    one mark for each of the newest messages, which shows their first difference there.
    """
    header, messages = (counter + 1, "finish"), ledger.messages
    own = messages.digest().encode()
    differing = [other for other, theirs in exchange(names, role, link, header, own)
                 if theirs != own]
    if not differing:
        return
    start = max(len(messages) - messages.newest, 0)
    marks = b"".join(digest(repr(m).encode())[:MARK].encode() for m in messages[start:])
    payload = start.to_bytes(8, "little") + marks
    (other, theirs), = exchange((role, differing[0]), role, link, header, payload)
    their_start = int.from_bytes(theirs[:8], "little")

    def mark(number, marks, start):
        return marks[(number - start) * MARK:][:MARK]

    first = next((n for n in range(max(start, their_start), len(messages))
                  if mark(n, marks, start) != mark(n, theirs[8:], their_start)),
                 len(messages) - 1)
    place = "the start"
    if first >= 0:
        message = messages[first]
        place = f"step {message.counter} ({message.path}/{message.name})"
    raise Disagreement(f"the ledgers of {other} and {role} differ from {place} on"
                       + ", or earlier" * (start > 0) + "; all roles must use the same "
                       f"shapes and steps: {ADVICE}")
