"""Jobs, tokens, views, idempotency keys and renditions."""

from dataclasses import replace

import pytest

from archiver.adapters.catalogue.catalogue import SqlCatalogue
from archiver.errors import NotFoundError
from archiver.times import to_text
from archiver.values import Job, View
from archiver.vocabulary import EventType, JobName, JobState, Role
from tests import catalogue_facts as facts


def test_a_job_is_added_once_and_updated(catalogue: SqlCatalogue):
    """The same id again is False and changes nothing; progress, errors and results come back."""
    job = Job("seal:1", JobName.SEAL, JobState.QUEUED, {"capture": "一"}, facts.START)
    with catalogue.transaction() as tx:
        assert tx.jobs.add(job) is True
        assert tx.jobs.add(replace(job, name=JobName.VERIFY)) is False
        assert tx.jobs.get("seal:1") == job
        done = replace(job, state=JobState.DONE, done=2**40, total=2**40, attempts=2, error="e", result={"ok": True})
        tx.jobs.update(done)
        assert tx.jobs.get("seal:1") == done
        for ask in (lambda: tx.jobs.get("none"), lambda: tx.jobs.update(replace(job, id="none"))):
            with pytest.raises(NotFoundError):
                ask()


def test_a_token_is_known_by_its_digest(catalogue: SqlCatalogue):
    """Made and revoked by events; the first revocation counts; other organisations' are not listed."""
    payload = {"id": facts.new_id(), "organisation": "centre", "name": "门户", "role": "administrator"}
    payload |= {"digest": facts.DIGEST, "expires_at": None}
    other = payload | {"id": facts.new_id(), "organisation": "another", "digest": facts.OTHER_DIGEST}
    with catalogue.transaction() as tx:
        for made in (payload, other | {"expires_at": to_text(facts.START + facts.HOUR)}):
            facts.append(tx, EventType.TOKEN_CREATED, "system", made)
        token = tx.tokens.by_digest(facts.DIGEST)
        assert (token.name, token.role, token.created_at, token.expires_at, token.revoked_at) == (
            "门户",
            Role.ADMINISTRATOR,
            facts.START,
            None,
            None,
        )
        assert tx.tokens.by_digest(facts.OTHER_DIGEST).expires_at == facts.START + facts.HOUR
        assert tx.tokens.by_digest("sha256:none") is None
        for hours in (1, 2):
            at = facts.START + hours * facts.HOUR
            facts.append(tx, EventType.TOKEN_REVOKED, "system", {"id": token.id}, time=at)
        assert tx.tokens.all("centre") == [replace(token, revoked_at=facts.START + facts.HOUR)]


def test_a_view_is_found_moved_and_removed(catalogue: SqlCatalogue):
    """By principal, capture and source; idle ones by when they were last seen."""
    view = View(facts.new_id(), facts.CLERK, "c", "s", facts.START, facts.START, ((0, 5), (9, 2**50)))
    with catalogue.transaction() as tx:
        tx.views.put(view)
        assert tx.views.find("clerk", "c", "s") == view
        assert tx.views.find("clerk", "c", "other") is None
        assert tx.views.find("other", "c", "s") is None
        seen = replace(view, last_at=facts.START + facts.SECOND, ranges=((0, 7),))
        tx.views.put(seen)
        assert tx.views.find("clerk", "c", "s") == seen
        assert tx.views.idle(facts.START) == []
        assert tx.views.idle(facts.START + facts.SECOND) == [seen]
        tx.views.remove(view.id)
        tx.views.remove(view.id)
        assert tx.views.find("clerk", "c", "s") is None


def test_a_request_keeps_its_first_answer(catalogue: SqlCatalogue):
    """Keys of different principals are different."""
    with catalogue.transaction() as tx:
        tx.requests.put("clerk", "key", facts.DIGEST, "made")
        tx.requests.put("other", "key", facts.OTHER_DIGEST, "else")
        assert tx.requests.find("clerk", "key") == (facts.DIGEST, "made")
        assert tx.requests.find("clerk", "another") is None


def test_a_rendition_is_known_by_what_it_is_made_of(catalogue: SqlCatalogue):
    """One copy per original and profile; a newer one takes its place."""
    with catalogue.transaction() as tx:
        assert tx.renditions.get("k", "browser") is None
        tx.renditions.put("k", "browser", "a.mp4", facts.DIGEST, 1)
        tx.renditions.put("k", "browser", "b.mp4", facts.OTHER_DIGEST, 2**40)
        tx.renditions.put("k", "thumbnail", "c.jpg", facts.DIGEST, 3)
        assert tx.renditions.get("k", "browser") == ("b.mp4", facts.OTHER_DIGEST, 2**40)
