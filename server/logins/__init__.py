"""How people come in: passwords, logins, access tokens, and what ends them.

Stands on the tables beside the log for all that is personal or secret, and on ``$system`` for who
there is and whether they may come in. It must never tell a stranger whether an address has an
account, keep a secret in clear but for the keys that sign, or run Argon2 on the event loop.

Rooms:
    passwords     Argon2id in a bounded pool, and which passwords are refused
    signing       the keys that sign access tokens, shared by all processes, rotated
    access_tokens short-lived JWTs: issued and verified
    sessions      logins: begun, refreshed, ended, and whether one is good at present
    throttle      how often somebody may try, across processes
    password_login from an address and a password to a login
    one_time      secrets that are handed over, and whether who gave one still could
    people        accounts where they are: in the log and beside it
    keeper        forgets what is over, rotates keys, finishes erasures
    counters      how logins went
    errors        why somebody does not come in
    desk          all of these together, as the HTTP API has them

Invariants:
    Every attempt with a well-formed password runs Argon2 once, whoever it is for.
    A refresh token works once; a second time ends its login.
    A one-time secret opens no account that has become more than who gave it may open.
    A login that was ended is refused everywhere within two seconds.
"""
