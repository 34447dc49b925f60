"""The first account of an installation, and its token.

Safe to run in several processes at once, and again after a crash at any point: the address is
unique in the database, and a command that was carried out before is refused by the log.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from domain.errors import KeyTaken
from domain.system.commands import CreateAccount, IssueToken, RevokeToken
from domain.system.permissions import ADMIN
from domain.system.vocabulary import SYSTEM_LOG
from eventstore.accounts import Account, Accounts, EmailTaken
from server.credentials import fingerprint, hash_password, new_id
from server.writing.submission import Submission
from server.writing.writers import Writers

log = structlog.get_logger(__name__)


async def ensure_admin(writers: Writers, accounts: Accounts, email: str, password: str) -> Account:
    """The account with this address, made an admin where the installation has no account yet."""
    account = await accounts.by_email(email)
    if account is None:
        account = await _add_account(accounts, email, password)
    state = (await writers.system()).state
    if not len(state.accounts):
        command = CreateAccount(account=account.account_id, role=ADMIN)
        await _accepted_or_done(writers, account.account_id, command)
        log.info("admin_created", account=account.account_id)
    return account


async def _add_account(accounts: Accounts, email: str, password: str) -> Account:
    hashed = await asyncio.to_thread(hash_password, password)
    try:
        return await accounts.add(new_id(), email, email.partition("@")[0], hashed)
    except EmailTaken:
        account = await accounts.by_email(email)
        if account is None:
            raise
        return account


async def ensure_token(writers: Writers, account_id: str, secret: str, name: str) -> None:
    """Let ``secret`` open the account, if it does not already."""
    state = (await writers.system()).state
    digest = fingerprint(secret)
    if state.holder(digest, datetime.now(UTC)) is not None:
        return
    command = IssueToken(token=new_id(), account=account_id, sha256=digest, name=name)
    await _accepted_or_done(writers, account_id, command)


async def revoke_tokens(writers: Writers, account_id: str, name: str) -> None:
    """Let no token of an account open it any more that was issued under ``name``."""
    tokens = (await writers.system()).state.tokens.values()
    revoked = [
        RevokeToken(token=token.id)
        for token in tokens
        if (token.account_id, token.name, token.revoked_at) == (account_id, name, None)
    ]
    if revoked:
        await writers.submit(SYSTEM_LOG, Submission.of(account_id, *revoked))


async def _accepted_or_done(
    writers: Writers, actor_id: str, command: CreateAccount | IssueToken
) -> None:
    try:
        await writers.submit(SYSTEM_LOG, Submission.of(actor_id, command))
    except KeyTaken:
        log.info("done_elsewhere", command=type(command).__name__)
