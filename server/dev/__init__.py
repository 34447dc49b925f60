"""What `halyard dev` adds to the server: embedded servers, a demo project, and a welcome.

The server itself is the same program as `halyard serve`; nothing here is a second implementation
of anything.
"""
