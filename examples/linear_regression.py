"""Linear regression over rows of two owners, by gradient descent."""

import mpc                      # before NumPy, for its threads
import nn
import numpy as np

rng = np.random.default_rng(0)
TRUE = np.array([2.0, -1.0, 0.5])


def measured(n):
    x = np.column_stack([rng.uniform(-1, 1, (n, 2)), np.ones(n)])
    return x, (x @ TRUE + rng.normal(0, 0.05, n))[:, None]


(xa, ya), (xb, yb) = measured(120), measured(80)
world = mpc.make_world()
x = world.secret({"alice": xa, "bob": xb})          # 200 rows
y = world.secret({"alice": ya, "bob": yb})

w = nn.Tensor(world.secret(np.zeros((3, 1)), owner="server"), requires_grad=True)
sgd = nn.SGD([w], lr=0.2, momentum=0.5)
for _ in range(60):
    sgd.zero_grad()
    nn.mse_loss(nn.Tensor(x) @ w, y).backward()
    sgd.step()
found = w.value.reveal().ravel()
if world.has("server"):
    print(f"found {np.round(found, 2)}, true {TRUE}")
