"""Dates and locks over the years, on a real vault and catalogue."""

from datetime import date, timedelta

import pytest

from archiver import keys
from archiver.errors import ConflictError, InputError
from archiver.vocabulary import EndBasis, EventType
from retention.binding import Binding
from retention.due import DueDates
from retention.ending import Ending
from retention.policies import Policies
from retention.policy import day_before, years_later
from retention.renewal import Renewal
from tests.archive_rig import SHANGHAI, Archive, cut
from tests.catalogue_facts import CLERK, new_id

YEAR = timedelta(days=366)


@pytest.fixture
def due(archive: Archive) -> DueDates:
    return DueDates(archive.catalogue, archive.binding, archive.clock)


@pytest.fixture
def ending(archive: Archive) -> Ending:
    return Ending(archive.catalogue, archive.clock, SHANGHAI)


@pytest.fixture
def policies(archive: Archive) -> Policies:
    return Policies(archive.catalogue, archive.clock, new_id)


def project_of(archive: Archive, capture: str) -> str:
    with archive.catalogue.reading() as tx:
        return tx.captures.get(capture).project


def kept_until(archive: Archive, capture: str):
    with archive.catalogue.reading() as tx:
        return tx.captures.get(capture).retain_until


def locks(archive: Archive, capture: str) -> set:
    """The lock dates of every object that the capture's seal covers."""
    with archive.catalogue.reading() as tx:
        media = [segment.key for segment in tx.segments.each()]
        assert all(segment.retain_until == tx.captures.get(capture).retain_until for segment in tx.segments.each())
    seals = [stored.key for stored in archive.vault.list(f"main/{keys.CAPTURES}/{capture}")]
    assert media and seals
    return {archive.vault.stat(key).retain_until for key in [*media, *map(keys.sidecar, media), *seals]}


def pass_days(archive: Archive, days: float) -> None:
    archive.clock.pass_s(days * 86400)


def test_the_locks_of_a_procurement_that_goes_on_are_renewed_each_year(archive, sealed):
    """Media, sidecars and seals together, and one event for each year."""
    first = kept_until(archive, sealed)
    pass_days(archive, 300)
    assert archive.renewal.renew_all() == []
    pass_days(archive, 66)
    (extension,) = archive.renewal.renew_all()
    assert (extension.bound, extension.until) == (first, years_later(archive.clock.now(), 15, SHANGHAI))
    assert kept_until(archive, sealed) == extension.until
    assert locks(archive, sealed) == {extension.until}
    assert archive.renewal.renew_all() == []
    archive.custody.store()
    assert archive.verifying().verify_all().findings == ()


def test_the_end_extends_every_lock_to_the_due_date(archive, sealed, ending, due):
    """Due is the end and fifteen years; the reason names the document, in both languages."""
    pass_days(archive, 200)
    day = date(2027, 5, 1)
    ending.end(project_of(archive, sealed), day, "complaint_decision", "财裁〔2027〕3号", "王敏", CLERK)
    (extension,) = archive.renewal.renew_project(project_of(archive, sealed))
    assert day_before(extension.until, SHANGHAI) == date(2042, 5, 1)
    assert locks(archive, sealed) == {extension.until}
    (item,) = due.items("centre")
    assert (item.capture, item.eligible, item.due) == (sealed, False, date(2042, 5, 1))
    assert item.reason.startswith("kept until 2042-05-01 because the procurement ended on 2027-05-01")
    assert item.reason_zh.startswith("保存至2042-05-01,因为采购活动于2027-05-01结束(投诉处理决定,财裁〔2027〕3号)")
    with archive.catalogue.reading() as tx:
        assert tx.captures.get(sealed).retain_reason == item.reason
        assert tx.events.chain(sealed)[-1].type == EventType.RETENTION_EXTENDED
    assert archive.renewal.renew_project(project_of(archive, sealed)) == []


def test_a_renewal_that_was_cut_off_is_run_again(archive, sealed, monkeypatch):
    """The locks come first, so the catalogue never promises more than the vault holds."""
    before = kept_until(archive, sealed)
    pass_days(archive, 366)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Renewal, "_state", cut_off)
        archive.renewal.renew_all()
    assert kept_until(archive, sealed) == before
    (extension,) = archive.renewal.renew_all()
    assert locks(archive, sealed) == {extension.until}


def test_footage_that_comes_between_gets_the_later_lock_too(archive, sealed, tmp_path, monkeypatch):
    """A deposit after the locks were raised and before the date was."""
    pass_days(archive, 366)
    raising = Renewal._raise_locks
    late = cut(tmp_path, archive.sources(sealed)[0], start_s=1)

    def raise_and_deposit(self, *arguments):
        raised = raising(self, *arguments)
        archive.deposit(late)
        late.clear()
        return raised

    monkeypatch.setattr(Renewal, "_raise_locks", raise_and_deposit)
    (extension,) = archive.renewal.renew_all()
    assert locks(archive, sealed) == {extension.until}


def test_the_archives_own_documents_outlive_what_they_tell_of(archive, sealed):
    """Events, checkpoints and certificates: a year longer than the latest record."""
    pass_days(archive, 366)
    archive.renewal.renew_all()
    for prefix in (keys.EVENTS, keys.CHECKPOINTS, keys.CERTIFICATES):
        found = list(archive.vault.list(prefix))
        assert found
        assert all(stored.retain_until >= kept_until(archive, sealed) + timedelta(days=365) for stored in found)


def test_a_longer_policy_is_previewed_and_extends_all(archive, sealed, policies):
    """A shorter one changes nothing that is bound already."""
    policy = policies.set("centre", 30, "the centre's own rule", CLERK)
    assert policy.version == 1
    (extension,) = archive.renewal.preview()
    assert day_before(extension.until, SHANGHAI) == date(2056, 11, 23)
    assert archive.renewal.renew_all() == [extension]
    archive.clock.pass_s(60)
    assert policies.set("centre", 15, "a shorter rule", CLERK, policy=policy.id).version == 2
    assert archive.renewal.preview() == []
    assert kept_until(archive, sealed) == extension.until


def test_a_policy_binds_what_is_deposited_after_it(archive, capture, segments, policies):
    """The event names the policy and its version."""
    policy = policies.set("centre", 20, "档案局令第10号", CLERK)
    archive.deposit(segments)
    with archive.catalogue.reading() as tx:
        bound = next(event for event in tx.events.chain(capture) if event.type == EventType.RETENTION_BOUND)
    assert (bound.payload["policy"], bound.payload["policy_version"]) == (policy.id, 1)
    assert "档案局令第10号 asks for 20 years" in bound.payload["reason"]
    assert day_before(kept_until(archive, capture), SHANGHAI) == date(2046, 11, 23)


@pytest.mark.parametrize("wrong", [{"years": 14}, {"basis": " "}, {"policy": "unknown"}, {"effective_from": -YEAR}])
def test_a_policy_that_is_not_allowed_is_refused(archive, policies, wrong):
    """Nothing below fifteen years, without a basis, or in the past."""
    facts = {"years": 20, "basis": "a rule"} | wrong
    if "effective_from" in wrong:
        facts["effective_from"] = archive.clock.now() + wrong["effective_from"]
    with pytest.raises(InputError) as refused:
        policies.set("centre", principal=CLERK, **facts)
    assert list(refused.value.errors) == list(wrong)


def test_an_open_complaint_suspends_eligibility_until_it_is_closed(archive, sealed, ending, due):
    """Evidence rule 8, by events on the project's chain."""
    project = project_of(archive, sealed)
    pass_days(archive, 1)
    ending.end(project, date(2026, 11, 24), "acceptance", "doc 7", "Li Hua", CLERK)
    archive.renewal.renew_all()
    pass_days(archive, 20 * 366)
    assert due.explain(sealed).eligible
    ending.open_complaint(project, "complaint 12", CLERK)
    assert not due.explain(sealed).eligible
    with pytest.raises(ConflictError):
        ending.open_complaint(project, "complaint 13", CLERK)
    ending.close_complaint(project, "decision 12", CLERK)
    assert due.explain(sealed).eligible
    with pytest.raises(ConflictError):
        ending.close_complaint(project, "decision 12", CLERK)


def test_no_end_no_due_date(archive, sealed, due):
    """However late it is (evidence rule 1)."""
    pass_days(archive, 60 * 366)
    item = due.explain(sealed)
    assert (item.due, item.eligible) == (None, False)


def test_only_the_configured_facts_end_a_procurement(archive, sealed, ending):
    """An archive that doesn't count query replies isn't moved by one (evidence rule 4)."""
    ending.end(project_of(archive, sealed), date(2026, 11, 23), "query_reply", "reply 3", "Li Hua", CLERK)
    strict = Binding(SHANGHAI, bases=frozenset({EndBasis.ACCEPTANCE}))
    assert DueDates(archive.catalogue, archive.binding, archive.clock).explain(sealed).due is not None
    assert DueDates(archive.catalogue, strict, archive.clock).explain(sealed).due is None
