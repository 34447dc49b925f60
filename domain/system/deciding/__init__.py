"""What each kind of thing in ``$system`` decides.

Rooms:
    accounts   people and programs
    groups     accounts together
    roles      custom roles, and who has which
    settings   the installation's settings
"""
