"""``python -m mpc.train_mnist``"""

import sys

from mpc.train_mnist.command import main

sys.exit(main(sys.argv[1:]))
