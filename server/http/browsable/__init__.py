"""``/docs``: the description of the API as a page, for people.

The page is Swagger UI, kept in ``assets`` with its licences: nothing is fetched from another host,
and the Content-Security-Policy would not let it. Assets are named by a digest of what they hold, so
that a browser keeps each for ever and an upgrade brings new names. Redoc wants workers made of
blobs and cannot ask; Scalar is twice the size and fetches its letters from a host of its own.

Rooms:
    routes   the page, and what it is made of
    assets   Swagger UI (Apache-2.0; with the licences of its parts), the page, its script and style

Invariants:
    No inline script, no inline style, no other host: each asset says so in its headers.
    What is served is what was read from ``assets`` when the process first was asked; names lead
    nowhere else.
"""
