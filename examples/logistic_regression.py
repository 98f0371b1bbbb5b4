"""Logistic regression on (made-up) columns of two owners and labels of a third."""

from pathlib import Path

import mpc                      # before NumPy, for its threads
import nn
import numpy as np

path = Path(__file__).with_name("patients.csv")
table = np.genfromtxt(path, delimiter=",", names=True)
owned = {"alice": ("age", "weight"), "bob": ("marker", "pressure")}
world = mpc.make_world(3)
x = world.secret({owner: np.column_stack([table[name] for name in names])
                  for owner, names in owned.items()}, axis=1)
y = world.secret(table["ill"][:, None], owner="worker3")
x = (x - x.mean(0)) / x.std(0)
model = nn.Linear(4, 1, np.random.default_rng(0))
model.map(lambda weight: world.secret(weight, owner="server"))
sgd, batches = nn.SGD(model.parameters(), lr=0.5, momentum=0.9), nn.batches(40, x, y)
for _ in range(10):
    for patients, ill in batches:
        sgd.zero_grad()
        nn.binary_cross_entropy_with_logits(model(patients), ill).backward()
        sgd.step()
correct = ((model(x).value > 0) == y).sum().reveal()
if world.has("server"):
    print(f"{correct} of {len(table)} patients are classified correctly")
