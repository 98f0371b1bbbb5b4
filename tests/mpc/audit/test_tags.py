"""Holder tags: lines that no single party could compute raise; all others keep tags."""

import ast
import operator
import pathlib
import re
from types import SimpleNamespace

import numpy as np
import pytest

import mpc
from mpc import RoleError
from mpc.audit.tags import Tagged, TaggedWorld, strip, tag
from mpc.ring import Z2k, Z2kMinus1, Zm, bits_of

KINDS = ("share", "common", "local to server", "local to crypto_provider")


def value(kind, shape=(3, 4), dtype=np.uint64):
    """A value of this `kind`, with as many rows as a simulation of two workers has."""
    rows = 2 if kind == "share" else 1
    values = np.arange(1, rows * np.prod(shape, dtype=int) + 1).astype(dtype)
    return tag(values.reshape(rows, *shape), kind)


@pytest.fixture
def v():
    """One value of each kind, and a public one."""
    share = tag(strip(value("share"))[::-1].copy(), "share")     # unsorted
    return SimpleNamespace(share=share, other=value("share") + np.uint64(7),
                           common=value("common"), provider=value(KINDS[3]),
                           server=value(KINDS[2]), public=np.ones((4,), np.uint64),
                           wide=np.ones((2, 4), np.uint64))


def refused(expression, v, message):
    with pytest.raises(RoleError, match=message):
        eval(expression, {"np": np}, vars(v))


# ---- which values may meet


@pytest.mark.parametrize("a", KINDS)
@pytest.mark.parametrize("b", KINDS)
def test_one_party_must_hold_both_operands(a, b):
    x, y = value(a), value(b)
    if a == b or {a, b} == {"share", "common"}:
        assert (x + y).kind == (a if a == b else "share")
        np.testing.assert_array_equal(strip(x + y), strip(x) + strip(y))
    else:
        for mix in (operator.add, operator.sub, operator.mul,
                    operator.eq, operator.and_):
            with pytest.raises(RoleError, match="no party holds both"):
                mix(x, y)


@pytest.mark.parametrize("line", [
    "share + provider",                         # a worker uses the provider's mask
    "np.where(common == 1, provider, 0)",       # the provider uses the workers' coin
    "provider - common",                        # ... or an opening
    "share * server",                           # workers use the server's result
    "np.concatenate([common, server], axis=1)",
    "np.stack([common, provider], axis=1)",
    "np.where(server == 1, share, share)",
    "np.matmul(share, provider)",
    "np.take_along_axis(provider, common.astype(int), axis=1)",
    "np.add(share, 1, where=(provider == 1))",
    "np.clip(share, provider, provider)",
    "share.dot(provider)",
    "np.block([[common, server]])",
])
def test_values_of_different_parties_do_not_meet(line, v):
    with pytest.raises(RoleError):
        eval(line, {"np": np}, vars(v))


@pytest.mark.parametrize("line, kind", [
    ("share + common", "share"), ("common - share", "share"),
    ("share + other", "share"),
    ("common * common", "common"), ("share * public", "share"),
    ("public + provider", KINDS[3]),
    ("share[:, 1:] ", "share"), ("share[:, 0, None]", "share"),
    ("share[..., 0]", "share"),
    ("share[:, [2, 0]]", "share"), ("share[:, ::-1]", "share"),
    ("np.where(common == 1, share, other)", "share"),
    ("np.where(common > 3, 1, 0)", "common"),
    ("np.any(provider == 1, axis=-1)", KINDS[3]),
    ("np.concatenate([share, other], axis=-1)", "share"),
    ("np.stack([share, other], 1)", "share"), ("share.swapaxes(1, 2)", "share"),
    ("np.matmul(share, np.swapaxes(common, 1, 2))", "share"),
    ("share.sum(axis=1)", "share"), ("np.sum(share, axis=(1, -1))", "share"),
    ("share.max(axis=2)", "share"), ("share.argmax(axis=-1)", "share"),
    ("np.roll(share, 1, axis=1)", "share"), ("np.moveaxis(share, 1, -1)", "share"),
    ("np.cumsum(share, axis=1)", "share"), ("np.sort(share, axis=1)", "share"),
    ("np.einsum('hij,hkj->hik', share, other)", "share"),
    ("np.packbits(share.astype('u1'), axis=-1)", "share"),
    ("np.unpackbits(share.astype('u1'), axis=-1, count=3)", "share"),
    ("np.full_like(share, 3)", "share"),
    ("np.zeros_like(share)", "share"), ("np.ones_like(common)", "common"),
    ("share.reshape(2, 12)", "share"), ("np.reshape(share, (2, 2, 6))", "share"),
    ("np.invert(share)", "share"), ("np.expand_dims(share, 1)", "share"),
    ("np.add.accumulate(share, axis=1)", "share"),
    ("np.multiply.outer(share, public)", "share"),
    ("np.take_along_axis(share, np.argsort(other, axis=1), axis=1)", "share"),
])
def test_a_line_that_each_holder_can_run_alone_keeps_the_tag(line, kind, v):
    result = eval(line, {"np": np}, vars(v))
    stripped = {name: strip(value) for name, value in vars(v).items()}
    plain = eval(line, {"np": np}, stripped)
    assert isinstance(result, Tagged) and result.kind == kind
    np.testing.assert_array_equal(strip(result), plain)


# ---- the first axis belongs to the holders


@pytest.mark.parametrize("line", [
    "share[0]", "share[-1]", "share[0] + share[1]", "share[::-1]", "share[1:]",
    "share[None]",
    "share[[0, 1]]", "share[share > 3]", "share[0, 1]", "common[0]", "share[0, ...]",
    "share[:, 0][..., 0][..., 0]", "share[:, 0][..., 0][..., ::-1]",
    "share[:, :, None][:, [0, 1], :, [0, 1]]",
])
def test_no_index_picks_among_the_holders(line, v):
    with pytest.raises(RoleError):
        eval(line, {"np": np}, vars(v))


def test_a_refused_index_names_the_rule_and_the_remedy(v):
    refused("share[0]", v, r"\[0\] selects holders of a share .*x\[:, i\]")


@pytest.mark.parametrize("line", [
    "share.sum(0)", "share.sum()", "share.sum(axis=(0, 1))", "share.sum(-3)",
    "np.sum(share)",
    "np.sum(share, 0)", "np.sum(share, axis=-3)", "np.add.reduce(share)", "share.max()",
    "share.any()", "common.all()", "common.sum(0)", "np.mean(share, axis=0)",
    "share.argmax()",
    "share.argmax(axis=0)", "np.cumsum(share, axis=0)", "share.cumsum()",
    "np.add.accumulate(share)", "share.prod(0)", "np.median(share, axis=0)",
    "np.ptp(share)",
])
def test_no_reduction_combines_the_holders(line, v):
    with pytest.raises(RoleError):
        eval(line, {"np": np}, vars(v))


@pytest.mark.parametrize("line", [
    "share.T", "np.transpose(share)", "share.transpose(1, 0, 2)",
    "share.swapaxes(0, 1)",
    "np.swapaxes(share, 0, -1)", "np.moveaxis(share, 0, 1)", "np.flip(share, axis=0)",
    "np.roll(share, 1, axis=0)", "np.roll(share, 1)", "np.sort(share, axis=0)[:, :]",
    "np.flip(share)", "np.take(share, [1, 0], axis=0)", "share.take([1, 0], axis=0)",
    "share.ravel()", "share.flatten()", "share.repeat(2)",
    "np.repeat(share, 2, axis=0)",
    "np.concatenate([share, other])", "np.stack([share, other])", "np.split(share, 2)",
    "np.vstack([share, other])", "np.expand_dims(share, 0)", "np.squeeze(common)",
    "common.squeeze(0)", "np.broadcast_to(common, (2, 3, 4))",
    "np.tile(share, (2, 1, 1))",
    "np.where(share > 3)", "share.nonzero()", "np.unique(share)", "share.diagonal()",
    "np.einsum('hij->ij', share)", "np.tensordot(share, other, axes=([0], [0]))",
    "np.add.outer(share, other)", "np.inner(share, other)",
    "np.array_equal(share, other)", "np.broadcast_to(public, share.shape) + share",
    "np.argsort(share, axis=0)", "np.partition(share, 1, axis=0)",
])
def test_no_function_moves_or_loses_the_holders(line, v):
    with pytest.raises(RoleError):
        eval(line, {"np": np}, vars(v))


def test_a_first_axis_that_is_not_the_holders_is_seen_even_when_sizes_agree():
    vector, public = value("share", (2,)), np.ones((2, 2), np.uint64)
    with pytest.raises(RoleError, match="a role that holds no row"):
        vector + public                         # two rows of a batch, two workers
    with pytest.raises(RoleError, match="a role that holds no row"):
        vector @ value("share", (2,))           # two workers taken for two rows
    with pytest.raises(RoleError):
        value("share", (2,)) * value("share", (2, 2))
    for lost in (value("share", (2, 3)).sum, value("common", (1,)).sum,
                 value("share", (2,)).max):
        with pytest.raises(RoleError):
            lost(0)                             # it returns as many rows as it took
    assert (value("share", (2, 2)) + public).shape == (2, 2, 2)
    assert (vector + public[:1]).kind == "share"


def test_a_reshape_keeps_the_holders_and_names_every_size(v):
    refused("share.reshape(2, -1)", v, "cannot resolve -1")
    refused("np.reshape(share, (-1,))", v, "first axis belongs")
    refused("share.reshape(4, 6)", v, "first axis belongs")
    refused("share.reshape([24])", v, "first axis belongs")
    assert v.share.reshape((2, 12)).shape == v.share.reshape([2, 12]).shape == (2, 12)


@pytest.mark.parametrize("line", [
    "bool(one == 1)", "int(one)", "float(one)", "one.item()", "one.tolist()",
    "list(one)", "[0][one]", "sum(one)"])
def test_no_branch_depends_on_a_tagged_value(line):
    with pytest.raises(RoleError, match="world.broadcast"):
        eval(line, {"one": value("common", ())})


def test_numpys_own_errors_stay(v):
    with pytest.raises(ValueError, match="could not be broadcast"):
        v.share + value("share", (5,))
    with pytest.raises(IndexError, match="out of bounds"):
        v.share[:, 7]


# ---- arrays that change in place


@pytest.mark.parametrize("line", [
    "share += provider", "common += share", "server *= common", "public += share[:, 0]",
    "share[:, 0] = provider[:, 0]", "common[:, 0] = share[:, 0]", "share[0] = 1",
    "share[:, 0] = np.ones((2, 4), np.uint64)", "share[:, :2] = share[:, 0]",
    "np.add(share, 1, out=public)", "np.add(share, share, out=common)",
    "np.add(provider, 1, out=share)", "np.sum(share, axis=1, out=public)",
    "share.sort(axis=0)",
    "np.add(share, 1, out=share, where=(common == 1))", "np.add.at(share, 0, 1)",
    "np.copyto(wide, share[:, 0])", "share[:, 0] += provider[:, 0]",
])
def test_no_value_of_another_kind_is_written_into_an_array(line, v):
    with pytest.raises(RoleError):
        exec(line, {"np": np}, vars(v))


@pytest.mark.parametrize("line", [
    "share += common", "share += 1", "share[:, 0] = common[:, 0]", "share[:, 1:] = 0",
    "share[:, 0] = np.ones((1, 4), np.uint64)", "share[...] = other",
    "common *= common",
    "share[:, 0] += other[:, 1]", "np.add(share, common, out=share)",
    "share[:, 0] = public",
])
def test_values_that_the_holder_knows_may_be_written_in_place(line, v):
    plain = {name: strip(value).copy() for name, value in vars(v).items()}
    plain = SimpleNamespace(**plain)
    before, array = strip(v.share).copy(), v.share
    exec(line, {"np": np}, vars(v))
    exec(line, {"np": np}, vars(plain))
    assert v.share is array and (v.share.kind, v.common.kind) == ("share", "common")
    np.testing.assert_array_equal(strip(v.share), plain.share)
    np.testing.assert_array_equal(strip(v.common), plain.common)
    assert line.startswith("common") or (strip(v.share) != before).any()


def test_several_outputs_keep_their_places(v):
    quotient, rest = np.divmod(v.share, np.uint64(5))
    a, b = np.empty_like(v.share), np.empty_like(v.share)
    assert np.divmod(v.share, np.uint64(5), out=(a, b))[1] is b
    assert quotient.kind == rest.kind == "share"
    np.testing.assert_array_equal(strip(quotient), strip(a))
    np.testing.assert_array_equal(strip(rest), strip(b))
    np.testing.assert_array_equal(strip(a) * 5 + strip(b), strip(v.share))


# ---- tags stay


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_goes_with_views_copies_and_other_types(kind):
    x = value(kind)
    results = [x.view(np.int64), x.astype(np.uint16), x.copy(), x.reshape(len(x), 12),
               x.view(np.int64) >> 3, x[:, :2], x[:, 0], -x, x == 3, np.empty_like(x),
               x.astype("<u8", order="C")[..., None].view(np.uint8),
               tag(strip(x), kind)]
    assert [r.kind for r in results] == [kind] * len(results)
    assert not isinstance(strip(x), Tagged) and not isinstance(strip([x])[0], Tagged)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("ring", [
    Z2k(64), Z2k(5), Z2kMinus1(64), Z2kMinus1(5), Zm(67)], ids=str)
def test_ring_arithmetic_keeps_the_tags(ring, kind, rows):
    x = tag(np.arange(rows * 9, dtype=ring.dtype).reshape(rows, 3, 3) % 31, kind)
    results = [ring.add(x, x), ring.sub(x, x), ring.neg(x), ring.mul(x, x),
               ring.matmul(x, x), ring.matmul(x[..., :0], x[:, :0]),
               ring.sum(x, axis=1), ring.sum(x[:, :0], axis=1),
               ring.sum(x, axis=(1, 2), keepdims=True)]
    results += [bits_of(x, ring.bits)] if ring != Zm(67) else []
    assert all((type(r), r.kind, len(r)) == (Tagged, kind, rows) for r in results)


def test_rows_of_size_zero_keep_the_rules():
    x, foreign = (tag(np.zeros((0, 3)), k) for k in ("share", "local to server"))
    assert (x + x).shape == np.where(x > 1, x, 0).shape == (0, 3)
    for mistake in (lambda: x + foreign, lambda: x.sum(0), lambda: x.sum(), lambda: x.T,
                    lambda: x[0]):
        with pytest.raises(RoleError):
            mistake()


REMOVERS = re.compile(
    r"np\.(asarray|array|asanyarray|ascontiguousarray|asfortranarray|require|fromiter|"
    r"frombuffer|copyto|nditer|ndarray|memoryview)")

# Functions that turn bytes, words, local or public data into arrays, or print.
MAY_REMOVE = {
    "ring": {"pack", "unpack", "uniform"},
    "share": {"__repr__", "_positions"},
    "carry_tree": {"raw_thresholds"},
    "encoding": {"real_array", "encode"},
    "public": {"as_share"},
    "functions": {"at_least", "_raw"},
    "sorting": {"_taken"},
    "array_functions": {"_bits", "_wide", "check_bits"},
    "world": {"one", "party_index", "_exactly", "_integers"},
    "seals": {"one", "heard", "check", "_sums", "_to_all", "_promise"},
    "privacy/dp_sgd": {"clip_factors", "float_sums", "_shared"},
    "privacy/noise": {"cumulative_table"},
    "audit/results": {"epsilon_of_counts"},
    "program": {"secret"},
    "audit/checked": {"_decoded", "reference", "_product", "_public_product",
                      "_quotient", "_neighbours"},
}
PROGRAMS = {"tiny", "fixed_point", "audit/tags", "audit/views", "audit/attacks"}
FOLDERS = {"train_mnist", "predict", "transport", "course"}        # no protocols there


def functions_that_remove_tags(path):
    """The functions of a file that call NumPy past the hooks of `Tagged`."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            calls = [ast.unparse(n.func) for n in ast.walk(function)
                     if isinstance(n, ast.Call)]
            if any(REMOVERS.fullmatch(call) for call in calls):
                yield function.name


def test_no_protocol_removes_tags():
    root = pathlib.Path(mpc.__file__).parent
    paths = {path.relative_to(root).with_suffix("").as_posix(): path
             for path in root.rglob("*.py")}
    protocols = [name for name in paths
                 if name not in PROGRAMS and name.split("/")[0] not in FOLDERS]
    assert {"beaver", "truncation", "securenn", "carry_tree"} <= set(protocols)
    found = {(name, function) for name in protocols
             for function in functions_that_remove_tags(paths[name])}
    assert found <= {(name, function) for name, functions in MAY_REMOVE.items()
                     for function in functions}


def test_a_protocol_that_removes_tags_is_stopped_at_the_next_verb():
    world = TaggedWorld(seed=7)
    share, clear = world.deal(world.ring, (3,), "x")
    with pytest.raises(RoleError, match="expected a share value, got a public one"):
        world.open(x=share._with(np.asarray(share.rows)))
    with pytest.raises(RoleError, match="expected a local to crypto_provider value"):
        world.share("crypto_provider", x=(np.asarray(clear), world.ring))
