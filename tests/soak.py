"""A thousand small batches: how much memory do they leave behind?"""

import gc
import re
from pathlib import Path

import numpy as np

import nn
from mpc import fix_precision
from mpc.ledger import Messages

BATCHES, MOST = 1_000, 4e6      # bytes by which they may grow: a huge page is 2 MB


def share(world, numbers):
    return fix_precision(numbers).share(*world.workers,
                                        crypto_provider=world.crypto_provider)


def training(world, *layers):
    """A function that trains a tiny network by one item, and reveals the loss."""
    model = nn.Sequential(*layers).map(lambda numbers: share(world, numbers))
    optimiser = nn.SGD(model.parameters(), 0.1)
    x, y = (nn.Tensor(share(world, np.ones((1, n)))) for n in (2, 1))

    def batch():
        optimiser.zero_grad()
        loss = nn.mse_loss(model(x), y)
        loss.backward()
        optimiser.step()
        return loss.value.get()
    return batch


def products(world):
    """A function that multiplies two secrets, and reveals the result."""
    x, y = share(world, [2.0]), share(world, [3.0])
    return lambda: (x.refresh() * y).get()


def growth(batch, warm_up=100):
    """Bytes of memory that `BATCHES` calls leave behind, after some to warm up.

    The ledger keeps few messages, so that it is full by then.
    """
    Messages.newest = 1_000
    for _ in range(warm_up):
        batch()
    before = resident()
    for _ in range(BATCHES):
        batch()
    return resident() - before


def resident():
    """Bytes of memory that this process alone has in use."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s*(\d+) kB", status)[1])
