"""LeNet learns from digits that no party sees: .venv/bin/python examples/lenet.py"""

import time

import mpc                      # before NumPy, for its threads
import data
import nn
import numpy as np

BATCH, BATCHES, TEST = 32, 60, 256
world = mpc.World(comparison="carry-tree")
alice, bob = world.workers              # alice has the pictures, and bob the labels


def shared(numbers, owner=None):
    return mpc.fix_precision(numbers).share(
        *world.workers, crypto_provider=world.crypto_provider, owner=owner)


def digits(split, n):
    images, labels = data.load_mnist(split, n=n)
    return data.normalise(images).reshape(n, 1, 28, 28), data.one_hot(labels)


net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2),
                    nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2),
                    nn.Flatten(), nn.Linear(256, 10)).map(shared)
sgd, start = nn.SGD(net.parameters(), lr=0.05, momentum=0.9), time.perf_counter()
batches = (np.split(array, BATCHES) for array in digits("train", BATCH * BATCHES))
for i, (x, target) in enumerate(zip(*batches, strict=True), 1):
    sgd.zero_grad()
    loss = nn.mse_loss(net(shared(x, alice)), shared(target, bob))
    loss.backward()
    sgd.step()
    print(f"batch {i}/{BATCHES}  loss {float(loss.value.get()):.3f}  "
          f"{time.perf_counter() - start:.1f} s", flush=True)
x, target = digits("test", TEST)
hits = net(shared(x, alice)).value.argmax(-1, one_hot=True) * shared(target, bob)
print(f"{net}\ncorrect: {int(hits.sum().get())} of {TEST} test digits")
