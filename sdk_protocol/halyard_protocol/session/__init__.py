"""A stream's conversation, both halves, without I/O: messages in, actions out.

The halves share only :mod:`halyard_protocol.messages`. Tests connect the two through a list, with
every interleaving, loss and repetition; shells connect them through sockets.
"""
