"""A page that plays a protocol message by message, from the view of any party.

    python -m mpc.course.play relu > relu.html

The page is one file that loads nothing: numbers from a recorded simulation, and the
template play.html, which draws them. It holds the views of all parties, as a lesson on
example numbers may. To a party it shows the events that name this party as a holder:
its inputs, its coins, the messages that it sends or receives, and its results. Coins
and received messages are those of `mpc.audit.views.Watched`, on whose tables the tests
of privacy rest.
"""

from __future__ import annotations

import ast
import base64
import html
import io
import json
import linecache
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from types import CodeType
from typing import NamedTuple

import numpy as np

import mpc
import nn
from mpc import beaver, carry_tree, comparison, securenn, truncation
from mpc.audit.views import Watched
from mpc.course import pictures
from mpc.ledger import Contract, Message
from mpc.ring import Bits, Ring, Zm, bits_of, prime_above
from mpc.securenn import CompareCoins, private_compare
from mpc.train_mnist import console

SEED = 6
ROWS, COLUMNS = 8, 6        # of the elements of an array that the page shows
# The lines of the paper stand in brackets at the end of a line of code.
PAPER_LINE = re.compile(r"#.*\[(\d+(?:, \d+)*)\]\s*$")

# What a message tells its receiver, by its name or the end of its path: the longest
# match counts.
NOTES = {
    **pictures.RELU_NOTES, **pictures.CARRY_TREE_NOTES,
    "value": "bob: a random share of a weight",
    "x_bits": "bob: random shares of the bits of x",
    "share_convert/delta": "bob: random shares, so nothing",
    "x_lsb": "bob: a random share of a bit of a mask",
    "private_compare/d": "provider: a zero or none, at random",
    "epsilon": "a factor under its mask a, so nothing",
    "delta": "a factor under its mask b, so nothing",
    "carry/multiply/delta": "bits, each under its mask",
    "truncate_with_provider/epsilon": "a product under its mask, so nothing",
    "multiply/c": "bob: a random share of a product of masks",
    "c_1": "bob: a random share of a product of masks",
    "t": "bob: a random share of the top bit of a mask",
    "q": "bob: a random share of the quotient of a mask",
    "result": "a fresh share of the result, revealed on purpose",
    "revealed": "a fresh share of the loss, revealed on purpose",
}


class Event(NamedTuple):
    """One thing that some parties see: an input, a coin, a message or a result."""

    kind: str
    holders: tuple          # of a message: its sender and its receiver
    label: str              # the protocols, and the paper's letter
    ring: Ring | None       # None: numbers of the owner, not yet in a ring
    numbers: np.ndarray
    step: int               # the message with which the page shows it, from 1
    details: dict           # of a message: its line in the ledger, source and code


class Recorder(mpc.World, Watched):
    """A watched simulation that lists its events in order, with the code that sends."""

    def __init__(self, program: Callable, **options):
        super().__init__(**options)
        self.events: list[Event] = []
        self.lesson = program.__code__

    def _note(self, kind, holders, label, ring, rows, step=None, details=None):
        step = step or len(self.ledger.messages) + 1
        self.events.append(Event(kind, holders, label, ring, np.array(rows[0]), step,
                                 details or {}))

    def private_input(self, role, shape, load, dtype=float):
        local = super().private_input(role, shape, load, dtype)
        self._note("input", (local.role,), "input", None, local.rows)
        return local

    def _draw(self, groups, ring, shape, name):
        coins = super()._draw(groups, ring, shape, name)
        for holders, rows in zip(groups, coins, strict=True):
            names = tuple(role for role in self.roles if role in holders)
            self._note("coin", names, self.ledger.label(name), ring, rows)
        return coins

    def _exchange(self, messages):
        received, number = super()._exchange(messages), len(self.ledger.messages)
        sent = [m for m in messages if m[0] != m[1]]
        where = self._where()
        for step, (src, dst, name, ring, _) in enumerate(sent, number - len(sent) + 1):
            details = self.ledger.messages[step - 1]._asdict() | where
            self._note("message", (src, dst), self.ledger.label(name), ring,
                       received[src, dst, name], step, details)
        return received

    def result(self, role, numbers):
        """Note numbers, (1, *shape), that `role` has computed from its view."""
        self._note("result", (str(role),), "result", None, numbers,
                   len(self.ledger.messages))

    def _where(self):
        """The innermost protocol that runs, or the lesson: source and line of code."""
        known = {**contracts(), self.lesson: Contract("the program of this page")}
        frame = sys._getframe()
        while frame.f_code not in known:
            frame = frame.f_back
        code, line = statement(frame.f_code.co_filename, frame.f_lineno,
                               frame.f_code.co_firstlineno)
        return {"source": known[frame.f_code].source, "code": code, "line": line}


@cache
def contracts() -> dict[CodeType, Contract]:
    """The contract of each protocol, by its code."""
    modules = beaver, carry_tree, comparison, securenn, truncation
    return {protocol.__wrapped__.__code__: protocol.contract
            for module in modules for protocol in vars(module).values()
            if hasattr(protocol, "contract")}


@cache
def statement(path: str, number: int, first: int) -> tuple[str, str]:
    """The statement at a line of a function, and the line of the paper it follows.

    The paper's line is in brackets at the end of the statement, or above it in the
    function, which begins at `first`. Empty if there is none.
    """
    lines = linecache.getlines(path)
    ends: dict[int, int] = {
        node.lineno: node.body[0].lineno - 1 if hasattr(node, "body")
        else node.end_lineno or 0
        for node in ast.walk(ast.parse("".join(lines))) if isinstance(node, ast.stmt)}
    start = max(i for i, end in ends.items() if i <= number <= end)
    end = ends[start]
    code = textwrap.dedent("".join(lines[start - 1:end]))
    found = [m[1] for line in lines[first:end] if (m := PAPER_LINE.search(line))]
    return re.sub(r"\s+# .*", "", code).strip(), (found or [""])[-1]


# ------------------------------------------------------------------ the lessons


def relu(world):
    """A ReLU by SecureNN: max(x, 0) of three numbers of alice"""
    x = share(world, "alice", x=[5, -3, 20])
    reveal(world, "alice", mpc.relu(x))


def multiply(world):
    """A product by Beaver: x of alice times y of bob"""
    x = share(world, "alice", x=[6, -3, 4])
    y = share(world, "bob", y=[7, 9, -5])
    reveal(world, "alice", mpc.multiply(x, y))


def compare(world):
    """SecureNN's private_compare: is x of the provider larger than r of the workers?"""
    l, field = world.ring.bits, Zm(prime_above(world.ring.bits))
    x = world.private_input("crypto_provider", (3,), lambda: [9, 200, 77], np.uint64)
    x_bits, = world.share("crypto_provider", x_bits=(bits_of(x.rows, l), field))
    r = world.common_coins(world.ring, (3,), "r")
    coins = CompareCoins.draw(world, field, l, (3,))
    world.result("crypto_provider", private_compare(x_bits, r, coins))


def batch(world):
    """One training batch of a network of 2, 2 and 1 neurons, on shares"""
    x = secret(world, "alice", [[0.5, -1], [1.5, 0.25]])
    y = secret(world, "bob", [[1], [0]])
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    for parameter, weights in zip(model.parameters(), WEIGHTS, strict=True):
        parameter.value = secret(world, "server", weights)
    loss = nn.mse_loss(model(nn.Tensor(x)), nn.Tensor(y))
    loss.backward()
    nn.SGD(model.parameters(), lr=0.1).step()
    world.result("server", [loss.value.reveal(to="server")])


WEIGHTS = [[0.4, -0.6], [0.5, 0.3]], [0.1, -0.2], [[0.7], [-0.5]], [0.2]
# Each lesson: its program, and the options of its World.
LESSONS: dict[str, tuple[Callable, dict]] = {
    "relu": (relu, {"ring_bits": 8}),
    "private_compare": (compare, {"ring_bits": 8}),
    "multiply": (multiply, {"ring_bits": 8}),
    "batch": (batch, {"ring_bits": 32, "comparison": "carry-tree"})}


def share(world, owner, **numbers):
    """Shares of an owner's whole numbers, given as name=list."""
    (name, values), = numbers.items()
    held = world.private_input(owner, (len(values),), lambda: values, np.int64)
    return world.share(owner, **{name: (world.ring.from_int(held.rows), world.ring)})[0]


def secret(world, owner, numbers):
    """Shares of an owner's numbers with a decimal point; all know their shape."""
    held = world.private_input(owner, np.shape(numbers), lambda: np.array(numbers) + 0.)
    return mpc.fix_precision(held, ring=world.ring).share(
        *world.workers, crypto_provider=world.crypto_provider)


def reveal(world, role, x):
    """Send fresh shares of x to `role`, which adds them."""
    rows, = world.gather(role, result=mpc.refresh(x))
    world.result(role, world.ring.to_int(world.ring.sum(rows, axis=1)))


# ------------------------------------------------------------------ the page


def record(name: str, kind: type[Recorder] = Recorder) -> Recorder:
    """The simulation of the lesson `name`, a World of class `kind`, run to its end."""
    if name not in LESSONS:
        raise ValueError(f"no protocol {name!r}; take {', '.join(LESSONS)}")
    program, options = LESSONS[name]
    world = kind(program, seed=SEED, **options)
    program(world)
    return world


def shown(event: Event) -> list[list[str]]:
    """The first elements of an array as text: its last axis across, all others down."""
    table = event.numbers.reshape(-1, *event.numbers.shape[-1:] or (1,))
    form = ("{:08b}" if isinstance(event.ring, Bits) else
            "{:g}" if event.numbers.dtype.kind == "f" else "{}")
    return [[form.format(v) for v in row[:COLUMNS]] for row in table[:ROWS]]


def table(messages: Sequence[Message]) -> str:
    """The rows of a table of the messages: what everybody knows, without a number."""
    rows = ["<tr><th>round<th>from<th>to<th>message<th>bytes<th>protocol"]
    for m in messages:
        texts = (f"{m.round}{', offline' if m.offline else ''}",
                 m.src.replace("_", " "), m.dst.replace("_", " "), m.name,
                 f"{m.nbytes:,}", m.path or "outside of protocols")
        rows.append("<tr>" + "".join(f"<td>{html.escape(text)}" for text in texts))
    return "\n".join(rows)


def page(name: str, back: str = "") -> str:
    """The HTML page that plays the lesson `name`; `back` is HTML above it, for links.

    Without JavaScript the page shows a table of the messages.
    """
    world = record(name)
    last, events = len(world.ledger.messages), []
    for event in world.events:
        own = {**event._asdict(), **event.details,
               "ring": str(event.ring), "numbers": shown(event),
               "shape": event.numbers.shape,
               "step": min(event.step, last)}
        if event.kind == "message":
            own["note"] = pictures.note_on(event.label, NOTES)
        del own["details"]
        events.append(own)
    title = str(LESSONS[name][0].__doc__)
    data = {"parties": pictures.columns(world.ledger.messages), "events": events}
    template = resources.files("mpc.course").joinpath("play.html").read_text("utf-8")
    parts = {"TITLE": html.escape(title), "BACK": back,
             "RING": f"{world.ring}, the numbers from 0 to {world.ring.modulus - 1:,}",
             "TABLE": table(world.ledger.messages),
             "DATA": json.dumps(data, separators=(",", ":")).replace("</", r"<\/")}
    for place, text in parts.items():
        template = template.replace(place, text)
    return template


class Player:
    """A page within a notebook; a chart of its messages where HTML is not shown."""

    def __init__(self, name: str):
        self.name, self.page = name, page(name)

    def __repr__(self):
        return f"the messages of {self.name}, one by one"

    def _repr_mimebundle_(self, **_):
        """The chart lies behind the frame, for viewers that drop frames."""
        file = io.BytesIO()
        pictures.sequence(record(self.name).ledger.messages).savefig(file)
        chart = base64.b64encode(file.getvalue()).decode()
        frame = (
            '<div style="position:relative;min-height:46em;overflow:hidden">'
            f'<img alt="Chart: {self}" src="data:image/png;base64,{chart}">'
            f'<iframe title="Player: {self}" srcdoc="{html.escape(self.page)}" '
            'style="position:absolute;inset:0;width:100%;height:100%;border:0">'
            '</iframe></div>')
        return {"text/html": frame, "image/png": chart, "text/plain": repr(self)}


def show(name: str) -> Player:
    """The page of a lesson, for the last line of a notebook's cell."""
    return Player(name)


def main(argv: Sequence[str]) -> int:
    """Print the page of the lesson that `argv` names; returns the exit status."""
    def run():
        if not {"-h", "--help"}.isdisjoint(argv):
            print("usage: python -m mpc.course.play NAME > PAGE.html\n\nNAME is one of "
                  f"{', '.join(LESSONS)}.")
            return 0
        if len(argv) != 1:
            raise ValueError(f"{len(argv)} names came; take one of "
                             f"{', '.join(LESSONS)}")
        print(page(argv[0]))
        return 0
    return console.exit_status("play", run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
