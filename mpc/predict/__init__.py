"""Ask a trained model about pictures on secret shares: ``python -m mpc.predict``.

The server owns the model and a worker owns the pictures. Both are shared, the workers
compute the answers, and only the owner of the pictures learns them: the server learns
no picture and no answer, and the owner learns nothing else about the model.
"""

from mpc.train_mnist.siblings import insist

insist("mpc", "data", "nn")     # before another module of such a name is imported

from mpc.predict.command import Answers, ask, main, network
from mpc.predict.pictures import read_pictures

__all__ = ["Answers", "ask", "main", "network", "read_pictures"]
