"""A model that its owner hides, asked about a picture that its owner hides.

The server has trained in the clear, on digits of its own. Alice learns the answer.
"""

import mpc                      # before NumPy, for its threads
import data
import nn
import numpy as np

world = mpc.make_world(comparison="carry-tree")
model = nn.Sequential(nn.Linear(784, 32, np.random.default_rng(0)), nn.ReLU(),
                      nn.Linear(32, 10, np.random.default_rng(1)))
if world.has("server"):
    images, labels = data.load_mnist("train", n=1280)
    sgd = nn.SGD(model.parameters(), lr=0.02)
    for i in range(0, 5 * 1280, 64):
        rows = slice(i % 1280, i % 1280 + 64)
        sgd.zero_grad()
        nn.mse_loss(model(data.normalise(images[rows]).reshape(64, 784)),
                    data.one_hot(labels[rows])).backward()
        sgd.step()
model.map(lambda w: world.secret(w, owner="server"))

images, labels = data.load_mnist("test", n=8)           # alice's
picture = world.secret(data.normalise(images).reshape(8, 784), owner="alice")
answer = model(picture).value.argmax(1).reveal(to="alice")
if world.has("alice"):
    print(f"answers {answer.tolist()}, labels {labels.tolist()}")
