"""The events as the vault holds them, read without a catalogue, and whether their custody is unbroken: batches that
name each other, chains, and the last signed checkpoint over all of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from archiver import events, keys, times
from archiver.canonical import digest_of
from archiver.custody import Checkpoint, Heads, parse_checkpoint, root_of
from archiver.documents import Fields
from archiver.errors import FormatError, NotFoundError, TamperError
from archiver.ports import Catalogue, SignatureCheck, SignatureChecker, Vault
from archiver.values import Batch, Event, Finding
from archiver.vocabulary import EventType, FindingCode, Severity

Chains = Mapping[str, Sequence[Event]]


def error(code: FindingCode, object: str, expected: str, found: str) -> Finding:
    """A finding that makes a verification fail."""
    return Finding(code, Severity.ERROR, object, expected, found)


def untrusted(check: SignatureCheck) -> Finding:
    """The signer's chain reaches no root that the caller trusts."""
    signer = keys.certificate(check.signer or "")
    return error(FindingCode.SIGNER_UNTRUSTED, signer, "a chain to a root that is trusted", check.reason)


def are_sound(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong but who signed it."""
    return all(finding.code is FindingCode.SIGNER_UNTRUSTED for finding in findings)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every chain that could be read, and what is wrong with the custody of events."""

    chains: Chains
    findings: tuple[Finding, ...] = ()

    @property
    def sound(self) -> bool:
        return are_sound(self.findings)

    def of_type(self, *types: EventType) -> Iterator[Event]:
        """The events of these types, chain by chain."""
        return (event for chain in self.chains.values() for event in chain if event.type in types)

    def chain(self, subject: str) -> Sequence[Event]:
        return self.chains.get(subject, ())

    def kept_until(self, capture: str) -> datetime | None:
        """The latest date that a capture was ever bound to; None before the first."""
        bound = (EventType.RETENTION_BOUND, EventType.RETENTION_EXTENDED)
        dates = [times.from_text(str(event.payload["until"])) for event in self.chain(capture) if event.type in bound]
        return max(dates, default=None)


@dataclass(frozen=True, slots=True)
class _Document:
    """A stored batch or checkpoint, as it is now; `content` is None where it can't be read."""

    key: str
    digest: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Batch(_Document):
    content: Batch | None = None


@dataclass(frozen=True, slots=True)
class _Checkpoint(_Document):
    content: Checkpoint | None = None
    data: bytes = b""


@dataclass(slots=True)
class _Custody:
    """What lies under `_events` and `_checkpoints`, and the findings so far."""

    batches: dict[str, _Batch]
    checkpoints: dict[int, _Checkpoint]
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return are_sound(self.findings)

    def broken(self, object: str, expected: str, found: str) -> None:
        self.findings.append(error(FindingCode.CUSTODY_BROKEN, object, expected, found))

    def truncated(self, object: str, expected: str, found: str) -> None:
        self.findings.append(error(FindingCode.CUSTODY_TRUNCATED, object, expected, found))


@dataclass(frozen=True, slots=True)
class _Signatures:
    """The signatures of checkpoints, and the roots (PEM) that their signers must reach, None for any."""

    vault: Vault
    checker: SignatureChecker
    roots: bytes | None

    def check(self, checkpoint: _Checkpoint) -> SignatureCheck | None:
        """None where there is no signature."""
        try:
            signature = b"".join(self.vault.read(checkpoint.key.removesuffix("json") + "p7s"))
        except NotFoundError:
            return None
        return self.checker.check(checkpoint.data, signature, self.roots)


def read_ledger(
    vault: Vault, checker: SignatureChecker, roots: bytes | None = None, catalogue: Catalogue | None = None
) -> Ledger:
    """Read and check all custody; `roots` are PEM certificates that the caller trusts, None for no check of the signer.
    With a catalogue, the events that haven't left for the vault yet are added, and those it never stated are found.
    """
    custody = _Custody(_batches(vault), _checkpoints(vault))
    known = _check_checkpoints(custody, _Signatures(vault, checker, roots), _expected_checkpoints(catalogue))
    _check_batches(custody, known)
    ordered = _ordered(custody)
    if custody.sound:
        _check_root(custody, ordered)
    reported = {finding.object for finding in custody.findings}
    chains = _chains(batch.content for batch in ordered if batch.content and batch.key not in reported)
    if custody.sound:
        _check_chains(custody, chains)
    if catalogue is not None:
        chains = _extended(custody, chains, catalogue)
    return Ledger(_understood(custody, chains), tuple(custody.findings))


# ------------------------------------------------------------------ reading


def stored_batches(vault: Vault) -> list[tuple[Batch, str]]:
    """Every batch in the vault with its digest, each after the one that it names. TamperError for one that can't be
    read or placed."""
    custody = _Custody(_batches(vault), {})
    _check_batches(custody, {})
    for finding in custody.findings:
        raise TamperError(f"{finding.object}: expected {finding.expected}, found {finding.found}; verify the archive")
    return [(batch.content, batch.digest) for batch in _ordered(custody) if batch.content]


def stored_checkpoints(vault: Vault) -> dict[int, str]:
    """Number -> digest of every checkpoint in the vault, in order."""
    return {number: one.digest for number, one in sorted(_checkpoints(vault).items())}


def _batches(vault: Vault) -> dict[str, _Batch]:
    found: dict[str, _Batch] = {}
    for stored in vault.list(keys.EVENTS):
        if not keys.is_known(stored.key):
            continue
        data = b"".join(vault.read(stored.key))
        id = stored.key.removeprefix(f"{keys.EVENTS}/").removesuffix(".jsonl")
        try:
            found[id] = _Batch(stored.key, digest_of(data), content=events.parse_batch(data))
        except FormatError as problem:
            found[id] = _Batch(stored.key, digest_of(data), str(problem))
    return found


def _checkpoints(vault: Vault) -> dict[int, _Checkpoint]:
    found: dict[int, _Checkpoint] = {}
    for stored in vault.list(keys.CHECKPOINTS):
        name = stored.key.removeprefix(f"{keys.CHECKPOINTS}/")
        if not name.endswith(".json") or not keys.is_known(stored.key):
            continue
        data = b"".join(vault.read(stored.key))
        document = _Checkpoint(stored.key, digest_of(data), data=data)
        try:
            document = replace(document, content=parse_checkpoint(data))
        except FormatError as problem:
            document = replace(document, problem=str(problem))
        found[int(name.removesuffix(".json"))] = document
    return found


def _expected_checkpoints(catalogue: Catalogue | None) -> int:
    if catalogue is None:
        return 0
    with catalogue.reading() as tx:
        return tx.events.last_checkpoint()[0]


def _ordered(custody: _Custody) -> list[_Batch]:
    """Batches in the order in which they name each other; what can't be placed comes at the end, in key order."""
    following = {batch.content.previous: batch for batch in custody.batches.values() if batch.content}
    ordered: list[_Batch] = []
    at: str | None = None
    while (batch := following.pop(at, None)) is not None:
        ordered.append(batch)
        at = batch.digest
    return ordered + [batch for batch in custody.batches.values() if batch not in ordered]


def _chains(batches: Iterable[Batch]) -> dict[str, list[Event]]:
    chains: dict[str, list[Event]] = defaultdict(list)
    for batch in batches:
        for event in batch.events:
            chains[event.subject].append(event)
    return dict(chains)


def _extended(custody: _Custody, chains: dict[str, list[Event]], catalogue: Catalogue) -> dict[str, list[Event]]:
    """The chains as far as the catalogue knows them. It was read after the vault, so it knows every true event."""
    with catalogue.reading() as tx:
        heads = tx.events.heads()
        if custody.sound:
            _check_heads(custody, chains, heads)
        for subject, (seq, _) in heads.items():
            known = chains.setdefault(subject, [])
            last = known[-1].seq if known else -1
            if seq > last:
                known.extend(tx.events.chain(subject, after=last))
    if custody.sound:
        _check_chains(custody, chains)
    return chains


# ------------------------------------------------------------------ checking


def _check_checkpoints(custody: _Custody, signatures: _Signatures, expected: int) -> dict[str, tuple[str, bool]]:
    """Each is what the next one says, the last is what was signed. What the sound ones say: batch id -> its digest, and
    whether it is the last one that is known of."""
    last = max(custody.checkpoints, default=0)
    if expected > last:
        custody.truncated(keys.checkpoint(expected), "the last checkpoint that was stored", "nothing")
    sound: list[Checkpoint] = []
    following: Checkpoint | None = None
    for number in range(last, 0, -1):
        problem = _checkpoint_problem(custody, custody.checkpoints.get(number), following, signatures)
        following = None
        if problem:
            custody.broken(keys.checkpoint(number), *problem)
        elif content := custody.checkpoints[number].content:
            sound.append(following := content)
    return {content.batch[0]: (content.batch[1], content.number == last) for content in sound}


def _checkpoint_problem(
    custody: _Custody, one: _Checkpoint | None, following: Checkpoint | None, signatures: _Signatures
) -> tuple[str, str] | None:
    """What was expected and what is there. A sound one that follows vouches for it; else its own signature does."""
    expected = (following.previous if following else None) or "a checkpoint with its signature"
    if one is None:
        return expected, "nothing"
    if one.content is None:
        return expected, one.problem
    if following is not None:
        return None if following.previous == one.digest else (expected, one.digest)
    check = signatures.check(one)
    if check is None:
        return expected, "no signature"
    if not check.intact:
        return "what was signed", check.reason
    if check.trusted is False:
        custody.findings.append(untrusted(check))
    return None


def _check_batches(custody: _Custody, known: Mapping[str, tuple[str, bool]]) -> None:
    """Each batch is what its checkpoint and the batch after it say; one that is reported is not reported twice."""
    explained: set[str | None] = {None}
    for id, (digest, is_last) in known.items():
        batch = custody.batches.get(id)
        if batch is None:
            report = custody.truncated if is_last else custody.broken
            report(keys.batch(id), digest, "nothing")
            explained.add(digest)
        elif batch.digest != digest:
            custody.broken(batch.key, digest, batch.problem or batch.digest)
            explained.add(digest)
    digests = {batch.digest for batch in custody.batches.values()}
    for id, batch in custody.batches.items():
        if batch.content is None and id not in known:
            custody.broken(batch.key, "a batch of events", batch.problem)
        elif batch.content and batch.content.previous not in digests | explained and not _altered(id, batch, known):
            custody.broken(batch.key, f"the batch before it, {batch.content.previous}", "nothing")
    _check_fork(custody, known)


def _altered(id: str, batch: _Batch, known: Mapping[str, tuple[str, bool]]) -> bool:
    return id in known and known[id][0] != batch.digest


def _check_fork(custody: _Custody, known: Mapping[str, tuple[str, bool]]) -> None:
    """No two batches follow the same one."""
    seen: dict[str | None, str] = {}
    for id, batch in sorted(custody.batches.items(), key=lambda each: (each[0] not in known, each[0])):
        if batch.content is None or _altered(id, batch, known):
            continue
        before = batch.content.previous
        if before in seen:
            custody.broken(batch.key, f"one batch after {before or 'the beginning'}", f"{seen[before]} is another")
        seen[before] = batch.key


def _check_root(custody: _Custody, ordered: Sequence[_Batch]) -> None:
    """The last checkpoint's root is that of the heads after its batch."""
    last = custody.checkpoints[max(custody.checkpoints)] if custody.checkpoints else None
    if last is None or last.content is None:
        return
    heads: dict[str, tuple[int, str]] = {}
    for batch in (one.content for one in ordered if one.content):
        heads.update({event.subject: (event.seq, event.hash) for event in batch.events})
        if batch.id == last.content.batch[0]:
            break
    if root_of(heads) != last.content.root:
        custody.broken(last.key, f"root {last.content.root}", f"root {root_of(heads)} over {len(heads)} chains")


_NEEDED: Mapping[str, Callable[[Fields], object]] = {
    EventType.CAPTURE_BOOKED: lambda fields: (_place(fields), fields.texts("sources"), _times(fields, True)),
    EventType.CAPTURE_CHANGED: lambda fields: _times(fields, False),
    EventType.CAPTURE_STOPPED: lambda fields: fields.moment("at"),
    EventType.CAPTURE_SEALED: lambda fields: (fields.count("revision"), fields.digest("sha256")),
    EventType.RETENTION_BOUND: lambda fields: fields.moment("until"),
    EventType.RETENTION_EXTENDED: lambda fields: fields.moment("until"),
    EventType.FOOTAGE_LATE: lambda fields: fields.texts("segments"),
}
"""What a verification reads of an event's payload."""


def _place(fields: Fields) -> str:
    """The site, under which the capture's seals must be able to lie."""
    site = fields.text("site")
    if not keys.is_safe(keys.seal(site, fields.text("id"), 1)):
        raise fields.wrong("site", "a site")
    return site


def _times(fields: Fields, required: bool) -> list[datetime]:
    return [fields.moment(key) for key in ("start", "end") if required or key in fields.values]


def _understood(custody: _Custody, chains: Chains) -> Chains:
    """The chains without the events that don't say what their type says; those break the custody."""
    return {subject: [event for event in chain if _says(custody, event)] for subject, chain in chains.items()}


def _says(custody: _Custody, event: Event) -> bool:
    needed = _NEEDED.get(event.type)
    try:
        if needed:
            needed(Fields.of(event.type, event.payload))
    except FormatError as problem:
        custody.broken(f"{event.subject}#{event.seq}", f"a payload of {event.type}", str(problem))
        return False
    return True


def _check_heads(custody: _Custody, chains: Chains, heads: Heads) -> None:
    """No chain in the vault reaches further than the catalogue's, nor ends otherwise where both end."""
    for subject, chain in chains.items():
        seq, hash = heads.get(subject, (-1, events.FIRST_PREVIOUS))
        last = chain[-1]
        if last.seq > seq:
            custody.broken(f"{subject}#{seq + 1}", "no event: the catalogue stated none", f"hash {last.hash}")
        elif last.seq == seq and last.hash != hash:
            custody.broken(f"{subject}#{seq}", f"hash {hash}", f"hash {last.hash}")


def _check_chains(custody: _Custody, chains: Chains) -> None:
    for subject, chain in chains.items():
        problem = events.check_chain(chain)
        if problem:
            custody.broken(f"{subject}#{problem.seq}", problem.expected, problem.found)
