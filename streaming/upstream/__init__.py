"""What SDKs send back, summed up: who was served what, what was tracked, what contexts look like.

For: exposures and tracking events of ten thousand connections as a few rows every few seconds. It
must never make the stream wait, keep more than a bounded amount, or keep what was said of any one
context (but for the sample, which can be turned off). What it cannot keep it counts.

Rooms:
    reception   messages in, checked and added up; batches out, each written once
    allowance   how much one connection may send
    tally       sums since the last batch, and how many different ones there may be
    sampling    what is kept of a sampled context
    settings    bounds and times

Concurrency: messages are added up in between two steps of the loop, to a tally that is swapped for
an empty one when it is about to be written. One batch is written at a time; as long as its outcome
is unknown it is written again, under its own id, and everything else goes on being added up.
"""
