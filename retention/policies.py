"""Setting retention policies: versioned rows, each version an event. A shorter one binds only what comes after it
(evidence rule 6)."""

from dataclasses import dataclass
from datetime import datetime

from archiver.errors import InputError
from archiver.ids import NewId
from archiver.ports import Catalogue, Clock
from archiver.times import to_text
from archiver.values import Draft, Policy, Principal
from archiver.vocabulary import EventType
from retention.policy import check_years


@dataclass(frozen=True, slots=True)
class Policies:
    """Adds versions of an organisation's retention policies."""

    catalogue: Catalogue
    clock: Clock
    new_id: NewId

    def set(
        self,
        organisation: str,
        years: int,
        basis: str,
        principal: Principal,
        *,
        policy: str | None = None,
        effective_from: datetime | None = None,
    ) -> Policy:
        """A new policy, or the next version of `policy`. `basis` names the rule it follows, `effective_from` is
        now unless given, and never before now. InputError."""
        now = self.clock.now()
        check_years(years)
        _check(basis, effective_from, now)
        with self.catalogue.transaction() as tx:
            id = policy or self.new_id()
            versions = [known.version for known in tx.registry.policies(organisation) if known.id == id]
            if policy and not versions:
                raise InputError(f"no policy {policy}", errors={"policy": "a policy of this organisation"})
            version = Policy(
                id, organisation, max(versions, default=0) + 1, years, basis.strip(), effective_from or now
            )
            tx.events.append(Draft("system", EventType.POLICY_SET, now, principal, _payload(version), urgent=True))
        return version


def _check(basis: str, effective_from: datetime | None, now: datetime) -> None:
    errors = {}
    if not basis.strip():
        errors["basis"] = "the rule that the policy follows"
    if effective_from is not None and effective_from < now:
        errors["effective_from"] = "a time that is not past"
    if errors:
        raise InputError("a policy needs a basis and takes effect from now on", errors=errors)


def _payload(policy: Policy) -> dict[str, object]:
    return {
        "id": policy.id,
        "organisation": policy.organisation,
        "version": policy.version,
        "years": policy.years,
        "basis": policy.basis,
        "effective_from": to_text(policy.effective_from),
    }
