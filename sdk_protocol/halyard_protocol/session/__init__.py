"""A stream's conversation, both halves, without I/O: messages in, actions out.

The halves share only :mod:`halyard_protocol.messages`. Tests connect the two through a list, with
every interleaving, loss and repetition; shells connect them through sockets.

For server keys, whole rulesets:
    feed, documents, frames       what a gateway knows, and what it says, each encoded once
    server                        one connection's position
    client, client_actions        an SDK's side, and what it asks of its shell
    replica, affected             its copy, and which flags a change concerns

For client keys, the values of one context:
    audience                      all contexts of a gateway, what each is given, what changes it
    values_server, values_client  the two halves of one connection
    outcomes, questions           what is given, shared; one flag as it is asked for many contexts
    leaning, sight                what leans on what, as an index; what of a context a flag can see
"""
