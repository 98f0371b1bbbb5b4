"""``python -m mpc.course.lab FILE`` checks the lab, ``--new FILE`` begins it."""

import sys

from mpc.course.lab import main

sys.exit(main())
