"""Print the table of peers: see ../README.md."""

from benchmarks.peers.table import main

main()
