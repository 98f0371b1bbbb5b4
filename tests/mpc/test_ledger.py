"""The ledger: the protocol of each message, the cost of a stretch, and its tables."""

import pytest
from helpers import everywhere, give

from mpc import World, compute_msb, multiply, train_mnist
from mpc.ledger import Contract, Cost, Ledger, Messages, step
from mpc.ring import Z2kMinus1
from mpc.train_mnist.options import parser


def message(nbytes=8, src="alice", dst="bob", name="x"):
    return (src, dst, name, "Z_2^64", (nbytes // 8,), nbytes)


@pytest.fixture
def ledger():
    """Two products inside a layer, each with an offline message, and a loose one."""
    ledger = Ledger()
    with ledger.step("layer"):
        for _ in range(2):
            with ledger.step("multiply"):
                with ledger.offline():
                    ledger.add_round(1, [message(16, "crypto_provider", "bob", "c")])
                ledger.add_round(2, [message(name="epsilon"),
                                     message(8, "bob", "alice", "delta")])
        with ledger.step("multiply2"):
            ledger.add_round(3, [message(80)])
    ledger.add_round(4, [message(800)])
    return ledger


def test_a_message_knows_its_step_round_and_parties(ledger):
    first, second, third, *_ = ledger.messages
    assert first == (1, 1, "layer/multiply", "c", "crypto_provider", "bob", "Z_2^64",
                     (2,), 16, True)
    assert (second.round, third.round, second.path) == (2, 2, "layer/multiply")
    assert (second.src, second.dst, second.offline) == ("alice", "bob", False)
    assert ledger.messages[-1].path == "" and ledger.round == 6


def test_steps_nest_and_their_calls_are_counted(ledger):
    assert dict(ledger.calls) == {"layer": 1, "layer/multiply": 2, "layer/multiply2": 1}
    assert ledger.path == "" and ledger.label("x") == "x"
    with ledger.step("relu"), ledger.step("drelu"):
        assert ledger.label("x") == "relu/drelu/x"


def test_a_cost_is_that_of_a_step_and_all_within_it(ledger):
    assert ledger.cost() == Cost(4, 2 * 16 + 80 + 800, offline_rounds=2,
                                 offline_bytes=32)
    assert ledger.cost(path="layer") == Cost(3, 112, 2, 32)
    assert ledger.cost(path="layer/multiply") == Cost(2, 32, 2, 32)
    assert ledger.cost(path="layer/multiply2") == Cost(1, 80, 0, 0)
    assert ledger.cost(path="lay") == ledger.cost(path="multiply") == Cost(0, 0, 0, 0)


def test_a_cost_can_be_that_of_a_stretch(ledger):
    assert ledger.cost(since=len(ledger.messages) - 1) == Cost(1, 800, 0, 0)
    assert ledger.cost(slice(0, 3)) == Cost(1, 16, 1, 16)
    assert ledger.cost(slice(0, 3), "layer/multiply2") == Cost(0, 0, 0, 0)


def test_a_round_without_messages_is_none():
    ledger = Ledger()
    ledger.add_round(1, [])
    assert (ledger.round, ledger.messages) == (0, [])


def test_an_error_inside_a_step_leaves_no_step_or_mark_behind():
    ledger = Ledger()
    with pytest.raises(ZeroDivisionError), ledger.step("outer"), ledger.offline():
        with ledger.step("inner"), ledger.offline():
            raise ZeroDivisionError
    ledger.add_round(1, [message()])
    assert (ledger.messages[0].path, ledger.messages[0].offline) == ("", False)


def test_messages_stay_offline_after_an_inner_mark_ends():
    ledger = Ledger()
    with ledger.offline():
        with ledger.offline():
            pass
        ledger.add_round(1, [message()])
    assert ledger.messages[0].offline


def test_the_decorator_gives_a_protocol_its_name_and_its_contract():
    @step(rounds=3, offline="w*n", secure="nobody", source="this test")
    def halve(x, by=2):
        """Halves."""
        return x.world.ledger.label("y"), by

    world = World()
    share = give(world, [1])
    assert halve(share, by=3) == ("halve/y", 3)
    assert (halve.__name__, halve.__doc__) == ("halve", "Halves.")
    assert world.ledger.calls["halve"] == 1
    assert halve.contract == Contract("this test", 3, "0", "w*n", "nobody")


def test_a_step_may_call_itself_and_others():
    world = World(seed=1)
    with world.ledger.step("mine"):
        x = give(world, [1, 2, 3])
        multiply(multiply(x, x), x)
    assert {m.path for m in world.ledger.messages} == {"mine", "mine/multiply"}
    assert world.ledger.calls["mine/multiply"] == 2


def test_the_table_lists_every_step_below_its_parent(ledger):
    lines = ledger.table().splitlines()
    assert lines[0].split() == ["step", "rounds", "bytes", "offline", "rounds", "bytes"]
    assert [line.split() for line in lines[1:]] == [
        ["all", "4", "912", "2", "32"], ["layer", "3", "112", "2", "32"],
        ["multiply", "2", "32", "2", "32"], ["multiply2", "1", "80", "0", "0"]]
    assert [len(line) - len(line.lstrip()) for line in lines[1:]] == [0, 2, 4, 4]


def test_a_table_of_a_stretch_shows_nothing_else(ledger):
    names = [line.split()[0] for line in ledger.table(slice(6, 7)).splitlines()]
    assert names == ["step", "all", "layer", "multiply2"]
    assert ledger.table(len(ledger.messages)).count("\n") == 0


def test_a_protocol_is_listed_below_its_parent_with_any_names_of_neighbours():
    ledger = Ledger()
    for path in (("relu",), ("relu", "drelu"), ("relu-1",), ("relu 2", "z")):
        with ledger.step(path[0]), ledger.step("/".join(path[1:]) or "own"):
            ledger.add_round(1, [message()])
    names = [line[:52].strip() for line in ledger.table().splitlines()[1:]]
    assert names == ["all", "relu", "drelu", "own", "relu 2", "z", "relu-1", "own"]


def test_all_roles_keep_the_same_ledger():
    def program(world):
        with world.ledger.step("lesson"):
            x = give(world, [1, 2, 3], Z2kMinus1(8))
            return {"msb": compute_msb(x, world.ring)}

    world, _ = everywhere(program, ring_bits=8)
    paths = {m.path for m in world.ledger.messages}
    assert {"lesson", "lesson/compute_msb", "lesson/compute_msb/private_compare",
            "lesson/compute_msb/multiply"} == paths
    assert world.ledger.cost(path="lesson") == world.ledger.cost()
    assert world.ledger.cost().offline_rounds == 2


# ------------------------------------------------------------------ long runs


def fill(ledger, rounds, start=0):
    for i in range(start, start + rounds):
        with ledger.step("even" if i % 2 == 0 else "odd"):
            ledger.add_round(i, [message(8 * i), message(8, "bob", "server", "y")])


@pytest.fixture
def short(monkeypatch):
    """A ledger of 200 messages in 100 rounds, of which it keeps ten."""
    monkeypatch.setattr(Messages, "newest", 10)
    ledger = Ledger()
    fill(ledger, 100)
    return ledger


def test_a_long_run_leaves_the_newest_messages_and_its_totals(short):
    whole = sum(8 * i + 8 for i in range(100))
    even = sum(8 * i + 8 for i in range(0, 100, 2))
    assert len(short.messages) == 200 and len(repr(short.messages)) < 2_000
    assert [m.counter for m in short.messages[-4:]] == [98, 98, 99, 99]
    assert short.messages[190].counter == 95
    assert short.cost() == short.cost(slice(None)) == Cost(100, whole, 0, 0)
    assert short.cost(path="even") == Cost(50, even, 0, 0)
    assert short.cost(196) == Cost(2, 8 * (98 + 99 + 2), 0, 0)
    assert [line.split()[:3] for line in short.table().splitlines()[1:]] == [
        ["all", "100", f"{whole:,}"], ["even", "50", f"{even:,}"],
        ["odd", "50", f"{whole - even:,}"]]


@pytest.mark.parametrize("look", [
    lambda ledger: ledger.messages[0], lambda ledger: ledger.messages[189:],
    lambda ledger: ledger.messages[:1], lambda ledger: [*ledger.messages],
    lambda ledger: ledger.cost(1), lambda ledger: ledger.cost(slice(0, 9)),
    lambda ledger: ledger.table(1), lambda ledger: ledger.messages == []])
def test_a_look_at_messages_that_are_dropped_is_refused(short, look):
    with pytest.raises(ValueError, match=r"ledger: message \d+ of 200 is dropped; "
                       r"call world\.ledger\.messages\.kept\.append"):
        look(short)


def test_a_program_can_keep_messages(monkeypatch):
    monkeypatch.setattr(Messages, "newest", 10)
    ledger = Ledger()
    fill(ledger, 4)
    ledger.messages.kept.append(slice(6, None))
    fill(ledger, 30, start=4)
    ledger.messages.kept[-1] = slice(6, 50)
    fill(ledger, 30, start=34)
    assert [m.counter for m in ledger.messages[6:50]] == [n // 2 for n in range(6, 50)]
    assert ledger.cost(slice(6, 50)).rounds == 22
    for part in (slice(5, 50), slice(6, 70), slice(100, 128)):
        with pytest.raises(ValueError, match="is dropped"):
            ledger.cost(part)


def test_long_ledgers_are_equal_if_all_messages_are(monkeypatch):
    monkeypatch.setattr(Messages, "newest", 10)
    first, second, third = Ledger(), Ledger(), Ledger()
    with third.offline():
        third.add_round(7, [message()])
    for ledger in (first, second, third):
        fill(ledger, 20 - (ledger is third))
    assert first.messages == second.messages and first.messages != third.messages
    second.add_round(20, [message()])
    assert first.messages != second.messages


def test_training_keeps_its_first_batch_for_the_report(monkeypatch):
    options = parser().parse_args(
        "--train-items 12 --batch-size 2 --test-items 2 --epochs 1".split())
    short, long = [], []
    for newest, lines in ((50, short), (50_000, long)):
        monkeypatch.setattr(Messages, "newest", newest)
        run = train_mnist.train(options, lambda line: None)
        lines += [line for line in train_mnist.report(run, options)
                  if not line.startswith("Time")]
        lines.append(run.world.ledger.table(run.batch_messages))
    assert short == long
    assert len(run.world.ledger.messages[run.batch_messages]) > 50
