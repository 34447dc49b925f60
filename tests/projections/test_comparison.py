"""What differs, and which content a new generation must have."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from eventstore.contents import Content
from projections.comparison import Audit, Difference, content_of_build, differences
from projections.documents import VersionedDocument, tombstone
from projections.rulesets import Meta

META = Meta(1000, 3, "g1", 2, 0, 7, "h7", 9, "demo", "production")
DOCUMENTS = (
    VersionedDocument("environment", 2, b'{"version":2}'),
    VersionedDocument("flag:a", 5, b'{"version":5}'),
    VersionedDocument("flag:b", 7, tombstone("b", 7)),
)
EXACT = Audit(
    META,
    {document.name: document.body for document in DOCUMENTS},
    {document.name: document.version for document in DOCUMENTS},
)


def without(audit: Audit, name: str) -> Audit:
    documents = {key: body for key, body in audit.documents.items() if key != name}
    return replace(audit, documents=documents)


def test_equal_rulesets_do_not_differ() -> None:
    assert differences(EXACT, DOCUMENTS) == ()


def test_each_fault_of_a_document_is_named() -> None:
    changed = {**EXACT.documents, "flag:a": b'{"version":4}', "flag:x": b'{"version":6}'}
    audit = replace(without(replace(EXACT, documents=changed), "flag:b"), index=EXACT.index)
    assert differences(audit, DOCUMENTS) == (
        Difference("flag:a", "different", 4, 5),
        Difference("flag:b", "missing", None, 7),
        Difference("flag:x", "unexpected", 6, None),
    )


def test_a_wrong_index_is_a_difference_though_every_document_is_right() -> None:
    audit = replace(EXACT, index={"environment": 2, "flag:a": 6, "flag:ghost": 3})
    assert differences(audit, DOCUMENTS) == (
        Difference("flag:a", "misplaced", 6, 5),
        Difference("flag:b", "misplaced", None, 7),
        Difference("flag:ghost", "unexpected", 3, None),
    )


@pytest.mark.parametrize("audit", [EXACT, without(EXACT, "flag:b")], ids=["kept", "pruned"])
def test_tombstones_up_to_the_horizon_do_not_count(audit: Audit) -> None:
    names = audit.documents.keys()
    index = {name: version for name, version in EXACT.index.items() if name in names}
    pruned = replace(audit, meta=replace(META, horizon=7), index=index)
    assert differences(pruned, DOCUMENTS) == ()
    assert differences(pruned, DOCUMENTS[:2]) == ()


def test_a_document_that_is_not_json_is_a_difference() -> None:
    audit = replace(EXACT, documents={**EXACT.documents, "flag:a": b"\xff"})
    assert differences(audit, DOCUMENTS) == (Difference("flag:a", "different", 0, 5),)


LIVE_3 = META
LIVE_2 = replace(META, content=2)
LIVE_9 = replace(META, content=9)


@pytest.mark.parametrize(
    ("settled", "live", "same", "expected"),
    [
        (None, None, False, Content(1, 2)),
        (None, LIVE_3, True, Content(4, 2)),
        (Content(3, 2), None, False, Content(3, 2)),
        (Content(3, 1), None, False, Content(4, 2)),
        (Content(3, 9), None, False, Content(4, 2)),
        (Content(3, 2), LIVE_3, True, Content(3, 2)),
        (Content(3, 2), LIVE_3, False, Content(4, 2)),
        (Content(3, 1), LIVE_3, False, Content(4, 2)),
        (Content(3, 2), LIVE_2, False, Content(3, 2)),
        (Content(3, 1), LIVE_2, False, Content(4, 2)),
        (Content(3, 2), LIVE_9, True, Content(10, 2)),
    ],
    ids=[
        "first of all",
        "number lost",
        "flushed",
        "flushed, and upgraded",
        "flushed, and downgraded",
        "honest",
        "different",
        "upgraded",
        "old dump",
        "old dump, and upgraded",
        "number went back",
    ],
)
def test_the_content_stays_only_where_sdks_cannot_hold_other_documents_under_it(
    settled: Content | None, live: Meta | None, same: bool, expected: Content
) -> None:
    assert content_of_build(settled, live, 2, same=same) == expected
