"""The options of the command: its help, its errors, and the range of its numbers."""

import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from helpers import reconstruct
from training_runs import command, options, trained

from mpc import truncation
from mpc.encoding import as_fraction
from mpc.fixed_point import gradient_scale
from mpc.predict.command import predict_parser
from mpc.ring import Z2k, raw_limit
from mpc.train_mnist import range_checks, training
from mpc.train_mnist.range_checks import weight_scale


def test_help_names_the_defaults_and_its_example_works(capsys):
    status, out, _ = command(capsys, "--help")
    assert status == 0 and "None" not in out
    said = " ".join(out.split())
    listed = said[said.index("options:"):]
    defaults = re.findall(r"--([\w-]+) N .*?\(default (\d+)\)", listed)
    assert len(defaults) == 10
    for name, default in defaults:
        assert getattr(options(""), name.replace("-", "_")) == int(default), name
    titles = re.findall(r"^(\w.*):\n  \S", out[:out.index("example:")], re.M)
    assert titles == ["options", "data", "training", "arithmetic and protocol",
                      "differential privacy", "output", "checkpoints", "preprocessing",
                      "processes"]
    example = re.search(r"^  python -m mpc.train_mnist (.*)$", out, re.M)[1]
    assert options(example).workers == 3


# ------------------------------------------------------------------ bad options

SPLIT = ["--workers 2", "--comparison securenn", "--truncation local", "--ring-bits 64",
         "--ledger", "--security abort", "--initial-weights provider"]
NUMBERS = ["--precision-fractional 3", "--base 2", "--reproducible"]
FOR_TWO = "a protocol for two workers, wrong for"


@pytest.mark.parametrize("text, came, remedy", [
    ("--epochs 0", "--epochs: 0 is out of range",
     "take a whole number from 1 to 1,000,000,000"),
    ("--train-items 1000001", "--train-items 1000001: files hold at most 1,000,000",
     "take fewer"),
    ("--test-items 999999999", "--test-items 999999999: files hold at most", "fewer"),
    ("--train-items 1000000000000", "--train-items: 1000000000000 is out of range", ""),
    ("--save a\0b", "--save: 'a\\x00b' has a NUL character", "leave it out"),
    ("--workers 1001", "--workers: 1001 is out of range", "from 2 to 1,000"),
    ("--precision-fractional 65", "--precision-fractional: 65 is out", "from 1 to 64"),
    ("--precision-fractional 64", "products need", "take 8 or fewer"),
    ("--epochs ten", "--epochs: 'ten' is not a whole number", "--help"),
    ("--batch-size 0", "--batch-size: 0", "from 1 to"),
    ("--batch-size 1.5", "--batch-size: '1.5' is not a whole number", "--help"),
    ("--log-interval -1", "--log-interval: -1", "from 0 to"),
    ("--seed 1 --initial-weights provider", "--seed has no effect with "
     "--initial-weights provider", "leave one of them out"),
    ("--initial-weights server", "--initial-weights: invalid choice", "provider"),
    ("--seed -1", "--seed: -1", "from 0 to"),
    ("--lr 0", "--lr: 0 is out of range", "take a number from 1e-06 to 10"),
    ("--lr nan", "--lr: nan is out of range", "take a number"),
    ("--lr inf", "--lr: inf is out of range", "take a number"),
    ("--lr 11", "--lr: 11 is out of range", "take a number"),
    ("--lr 1e-9", "--lr: 1e-9 is out of range", "take a number"),
    ("--activation tanh", "--activation: invalid choice: 'tanh'", "relu"),
    ("--arithmetic complex", "--arithmetic: invalid choice: 'complex'", "shared"),
    ("--base 7", "--base: invalid choice: ", "10"),
    ("--nonsense", "unrecognized arguments: --nonsense", "--help lists the options"),
    ("--workers 1", "--workers: 1 is out of range", "from 2 to"),
    ("--workers 3 --comparison securenn", f"--comparison securenn: {FOR_TWO} 3",
     "leave it out or take --workers 2"),
    ("--workers 4 --truncation local", f"--truncation local: {FOR_TWO} 4",
     "leave it out or take --workers 2"),
    ("--security abort --comparison securenn", "--comparison securenn: not with "
     "--security abort, since its messages cannot be sealed", "leave it out"),
    ("--security abort --truncation local", "--truncation local: not with --security",
     "leave it out"),
    ("--security abort --ring-bits 45", "--ring-bits 45: --security abort needs 20 ",
     "take 44 or fewer"),
    ("--security abort --seals 0", "--seals: 0 is out of range", "from 1 to 4"),
    ("--seals 2", "--seals has no effect without --security abort", "leave it out"),
    ("--security abort --checkpoint {tmp}/run", "--checkpoint and --resume: not with "
     "--security abort, whose seals no later run can check", "leave them out"),
    ("--preprocess", "--preprocess: with SecureNN the provider also works online",
     "add --comparison carry-tree"),
    ("--deal {tmp}/d --comparison securenn", "--deal: with SecureNN", "carry-tree"),
    ("--workers 3 --preprocess --deal {tmp}/d", "--deal and --preprocess: deal first",
     "give one of them"),
    ("--preprocess --arithmetic float", "--preprocess: --arithmetic float has no "
     "provider", "leave one of them out"),
    ("--workers 3 --preprocess --checkpoint {tmp}/run", "--preprocess: not with "
     "--checkpoint or --resume", "leave one of them out"),
    ("--workers 3 --preprocess --checked", "--preprocess: --checked needs all roles",
     "leave one of them out"),
    ("--workers 3 --deal {tmp}/d --save {tmp}/m", "--save has no effect with --deal",
     "leave it out"),
    ("--workers 3 --preprocess --train-items 60000 --epochs 1", "--preprocess: the "
     "provider would deal 1,", "or --deal DIR and --preprocess DIR"),
    ("--deal --workers 3", "--deal: expected one argument", "--help"),
    ("--dp-epsilon 3 --dp-noise 1", "--dp-epsilon and --dp-noise: one follows from",
     "give one of them"),
    ("--dp-clip 1", "--dp-clip has no effect without --dp-epsilon or --dp-noise", ""),
    ("--dp-epsilon 3 --log-interval 1", "--log-interval 1: with differential privacy "
     "no loss is shown", "leave it out"),
    ("--dp-epsilon 3 --activation square", "--activation square: squares of squares",
     "take relu"),
    ("--dp-epsilon 3 --truncation local", "--truncation local: where it fails, a long "
     "gradient looks short", "leave it out"),
    ("--dp-epsilon 3 --checkpoint {tmp}/run", "--checkpoint and --resume: a run and "
     "its repetition would spend more", "leave them out"),
    ("--dp-epsilon 3 --reproducible", "whoever knows the seed can subtract the noise",
     "or add --dp-lesson"),
    ("--dp-epsilon 3 --arithmetic float --dp-noise-by workers",
     "--dp-noise-by workers: --arithmetic float has none", "leave it out"),
    ("--dp-epsilon 3 --security abort", "--ring-bits 44 with 1000 as the scale of "
     "numbers has no room for squares of activations", "--precision-fractional"),
    ("--dp-epsilon 0", "--dp-epsilon: 0 is out of range", "from 0.001"),
    ("--dp-epsilon 3 --dp-clip 0.001 --precision-fractional 1",
     "has no room for a --dp-clip of one step", "take another number of"),
    ("--security abort --ring-bits 28", "products need 30 bits",
     "take 2 or fewer digits"),
    ("--precision-fractional -1", "--precision-fractional: -1", "from 1 to"),
    ("--precision-fractional 0", "--precision-fractional: 0", "from 1 to"),
    ("--precision-fractional 7 --truncation local",
     "--precision-fractional 7 in base 10, --ring-bits 64: "
     "local truncation would ruin a product in every run;",
     "take 4 or fewer digits, or --truncation provider, which has no such errors"),
    ("--precision-fractional 9", "products need 71 bits", "take 8 or fewer digits"),
    ("--precision-fractional 9 --arithmetic fixed", "products need 70 bits",
     "take 8 or fewer"),
    ("--precision-fractional 17 --base 2 --truncation local",
     "ruin a product in one of 58 runs", "take 14 or fewer"),
    ("--ring-bits 44 --truncation local",
     "--ring-bits 44: local truncation would ruin a product in every run",
     "take 1 or fewer digits, or more bits, or --truncation provider"),
    ("--ring-bits 52 --truncation local", "ruin a product in one of 244 runs",
     "or more bits"),
    ("--ring-bits 55 --truncation local --epochs 100", "in one of 195 runs",
     "or more bits"),
    ("--ring-bits 53 --truncation local --epochs 2 --lr 0.123457",
     "in one of 610 runs", "or more bits"),
    ("--ring-bits 24 --precision-fractional 2 --lr 0.03", "products need 27 bits",
     "take 1 or fewer digits, or more bits"),
    ("--ring-bits 31 --batch-size 640", "products need 34 bits", "more"),
    ("--ring-bits 30", "--ring-bits 30: products need 31 bits",
     "take 2 or fewer digits, or more bits"),
    ("--ring-bits 31 --workers 3", "products need 32 bits", "more bits"),
    ("--ring-bits 14", "products need 31 bits", "take more bits"),
    ("--ring-bits 7", "--ring-bits: 7 is out of range", "from 8 to 64"),
    ("--ring-bits 65", "--ring-bits: 65 is out of range", "from 8 to 64"),
    ("--train-items 1", "--train-items 1: each of the 2 workers owns at least one item",
     "take 2 or more"),
    ("--test-items 1", "--test-items 1: each of the 2 workers owns at least one item",
     "take 2 or more"),
    ("--save {tmp}/nowhere/model.npz", "cannot be written (No such file or directory)",
     "name another place"),
    ("--save {tmp}", "--save {tmp}: not a writable file",
     "name another"),
    (f"--save {{tmp}}/{'a' * 300}", "cannot be written (File name too long)",
     "name another place"),
    ("--save {tmp}/new/", "--save {tmp}/new/: not a writable file", "name another"),
    *((f"{option} --arithmetic {arithmetic}", f"{option.split()[0]} has no effect with "
       f"--arithmetic {arithmetic}", "leave one of them out")
      for arithmetic, without in (("float", SPLIT + NUMBERS), ("fixed", SPLIT))
      for option in without)])
def test_a_bad_option_is_refused_in_one_line_before_training(
        capsys, tmp_path, text, came, remedy):
    status, out, err = command(capsys, text.format(tmp=tmp_path))
    assert (status, out) == (2, "")                 # not one batch was trained
    line, = err.splitlines()
    assert line.startswith("train_mnist: ")
    assert came.format(tmp=tmp_path) in line and remedy in line


@pytest.mark.parametrize("text, path", [
    ("--train-items 6401", "train-images"), ("--test-items 1281", "t10k-images"),
    ("--data-dir {tmp}/nowhere", "{tmp}/nowhere"),
    ("--data-dir setup.cfg", "setup.cfg"),
    ("--data-dir {tmp}", "{tmp}/train-images-idx3-ubyte.gz")])
def test_unfit_data_is_refused_in_one_line_before_training(
        capsys, tmp_path, text, path):
    """The words are those of `data`, with the file or folder that is meant."""
    status, out, err = command(capsys, text.format(tmp=tmp_path))
    assert (status, out) == (2, "")
    line, = err.splitlines()
    assert line.startswith("train_mnist: ") and path.format(tmp=tmp_path) in line


@pytest.mark.parametrize("option", ["--save", "--data-dir"])
def test_an_empty_name_is_refused(capsys, option):
    status, out, err = command(capsys, f"{option}=")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{option}: the name is empty; give one, or leave the option out" in err


def test_the_process_ends_with_the_status_and_the_line():
    done = subprocess.run([sys.executable, "-m", "mpc.train_mnist", "--workers", "1"],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


# ------------------------------------------------------------------ scales and ranges


@pytest.mark.parametrize("text, factor, coarsest", [
    # room for outputs 40 times as large, and zeros that a comparison skips
    ("--ring-bits 64", 4 << 27, 655), ("--ring-bits 64 --workers 3", 5 << 26, 546),
    ("--ring-bits 64 --workers 5", 6 << 25, 786), ("--ring-bits 60", 4 << 23, 655),
    ("--ring-bits 64 --lr 0.0213", 4 << 27, 697), ("--lr 0.001", 4 << 27, 524),
    ("--ring-bits 64 --train-items 100", 4 << 27, 582),
    # no more room than for outputs up to 100: gradients are coarser
    ("", 5 << 16, 102), ("--workers 3", 6 << 15, 40), ("--lr 0.1", 5 << 16, 512),
    ("--lr 0.123457", 5 << 16, 632), ("--train-items 100", 5 << 16, 102),
    ("--arithmetic fixed", 5 << 17, 409), ("--security abort", 5 << 13, 25),
    ("--ring-bits 44", 5 << 12, 6), ("--ring-bits 44 --lr 0.0213", 5 << 12, 6),
    ("--ring-bits 44 --batch-size 61 --train-items 610", 5 << 12, 6)])
def test_weights_are_as_fine_as_updates_need_and_the_ring_has_room_for(
        text, factor, coarsest):
    chosen = options(text)
    assert weight_scale(chosen) == factor
    k = 1 if "fixed" in text or "abort" in text else chosen.workers
    found = [gradient_scale(Fraction(factor, 1000 * k),
                            Fraction(str(chosen.lr)) * Fraction(2, size), 1000)
             for size in {64, chosen.train_items % 64 or 64}]
    if chosen.batch_size == 64:
        assert int(min(found)) == coarsest
    assert 1000**2 * k * factor * 100 <= raw_limit(Z2k(chosen.ring_bits))


@pytest.mark.parametrize("text, bits", [
    ("", 48), ("--workers 5", 48), ("--workers 10", 64), ("--lr 0.1", 48),
    ("--lr 0.001", 64), ("--precision-fractional 2", 48),
    ("--precision-fractional 4", 64), ("--precision-fractional 7", 64),
    ("--truncation local", 64), ("--security abort", 44), ("--dp-epsilon 8", 64),
    ("--ring-bits 52", 52), ("--arithmetic fixed", 48)])
def test_the_default_ring_has_48_bits_if_they_suit_and_else_64(text, bits):
    assert options(text).ring_bits == bits
    assert predict_parser().parse_args([]).ring_bits == 64


@pytest.mark.parametrize("text", [
    "--truncation local", "--ring-bits 43", "--ring-bits 44 --workers 3",
    "--precision-fractional 6", "--ring-bits 48 --lr 0.001",
    "--workers 3 --lr 1e-6 --batch-size 6400 --train-items 6400",
    "--base 2 --precision-fractional 1 --lr 10 --batch-size 2"])
def test_weights_are_ordinary_numbers_if_their_gradients_would_be_coarse(text):
    assert weight_scale(options(text)) == 1


@pytest.mark.parametrize("text", [
    "--comparison carry-tree", "--activation square --lr 0.01",
    "--batch-size 16 --train-items 160", "--lr 0.0213",
    "--batch-size 3 --train-items 30"])
def test_local_truncation_ruins_no_more_than_the_bound_allows(text, monkeypatch):
    """The sum of |x| / 2^64 over all x that a batch truncates."""
    sums = []
    truncate, train_batch = truncation.truncate_locally, training.train_batch

    def watched(x, d):
        values = x.ring.to_int(reconstruct(x)).astype(float)
        sums[-1] += np.abs(values).sum() / 2**64
        return truncate(x, d)

    def counted(*args):
        sums.append(0.0)
        return train_batch(*args)

    monkeypatch.setattr(truncation, "truncate_locally", watched)
    monkeypatch.setattr(training, "train_batch", counted)
    trained(f"{text} --truncation local --epochs 1 --test-items 2 --reproducible")
    lr = as_fraction(options(text).lr)
    bound = range_checks.WRAP_AROUND * max(options(text).batch_size, 8) / 64
    bound *= 1 if lr.numerator == 1 else range_checks.FURTHER
    assert len(sums) == 10
    assert max(sums[:-1]) < bound                   # the test follows the last batch
    assert min(sums[:-1]) > bound / 300             # nor is the bound idle
