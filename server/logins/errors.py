"""Why somebody does not come in.

LoginError
 ├── WrongCredentials   the address or the password is wrong: which, is not told
 ├── TooManyAttempts    of this address or this account; again after ``retry_after_s``
 ├── TooManyLogins      this process checks as many passwords as it can
 ├── SecretSpent        a one-time secret is unknown, was used, or has expired
 └── RegistrationClosed nobody may make an account, or not with this address
"""

from __future__ import annotations


class LoginError(Exception):
    """Its text is a sentence for whoever tries."""


class WrongCredentials(LoginError):
    """The same for an unknown address, a wrong password, and an account that may not log in."""

    def __init__(self) -> None:
        super().__init__("the address or the password is wrong")


class TooManyAttempts(LoginError):
    """Says nothing of whether there is such an account."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("there were too many attempts: wait, and try again")
        self.retry_after_s = retry_after_s


class TooManyLogins(LoginError):
    """The queue before the threads that check passwords is full."""

    retry_after_s = 2.0

    def __init__(self) -> None:
        super().__init__("too many passwords are being checked; try again shortly")


class SecretSpent(LoginError):
    """Whoever handed it out can make another one."""

    def __init__(self) -> None:
        super().__init__("the secret is unknown, was used before, or has expired")


class RegistrationClosed(LoginError):
    """As the installation's settings say."""

    def __init__(self) -> None:
        super().__init__("an account is not to be had here with this address: ask to be invited")
