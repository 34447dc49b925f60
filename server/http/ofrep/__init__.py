"""The OpenFeature Remote Evaluation Protocol: its providers, of any language, are served here.

For: ``/ofrep/v1/…``, version 0.3, with a server or a client key. What it says of a failure is
OFREP's own (``errorCode``, ``errorDetails``), not a problem of the API. It must never keep an
answer by who asked: the bytes that it keeps are those of one outcome of one flag, whoever gets it.

Rooms:
    requests    from a body to a context
    answers     from details to bytes, made once for each outcome
    refusals    failures in OFREP's words
    routes      what is asked where, and what answers it
"""
