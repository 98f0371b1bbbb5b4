"""A sealed-bid auction: the highest bid wins, and the second highest is the price.

Three bidders are the workers. No losing bid is revealed, not even to the auctioneer.
"""

import mpc

BIDS = {"alice": [1_250.50], "bob": [1_410.25], "worker3": [980.00]}

world = mpc.make_world(3)
bids = world.secret(BIDS)
winner = bids.argmax().reveal()                     # to everybody
price = bids.top_k(2)[1].reveal()
if world.has("server"):
    print(f"{list(BIDS)[winner]} wins and pays {price:,.2f}")
