"""``python -m mpc.predict``"""

import sys

from mpc.predict.command import main

sys.exit(main(sys.argv[1:]))
