"""Which source addresses may be recorded from (I12), and what of them may be shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from archiver.errors import AddressError, InputError
from archiver.mistakes import Mistake

Network = IPv4Network | IPv6Network
Resolve = Callable[[str], Sequence[str]]
"""The literal addresses of a host name; empty when it has none."""

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
"""The schemes that can be recorded, with their ports (RFC 7826, section 22.1)."""

MAX_LENGTH = 2000

PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""Loopback and private ranges (RFC 1918, RFC 4193): what is allowed unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Address:
    """A source's whole address, a secret but for `shown`: scheme, host and port."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/…"

    def __repr__(self) -> str:
        return f"Address({self.shown})"


@dataclass(frozen=True, slots=True)
class AddressRule:
    """The allow-list: schemes, and the networks in which every address of the host must lie."""

    schemes: frozenset[str] = frozenset(DEFAULT_PORTS)
    networks: tuple[Network, ...] = PRIVATE_NETWORKS

    def check(self, url: str, resolve: Resolve, field: str = "url") -> Address:
        """The parsed address. InputError for what is no address, AddressError for what is not allowed; neither
        message repeats the address.
        """
        address = self._parse(url, field)
        literals = [address.host] if _is_literal(address.host) else list(resolve(address.host))
        if not literals:
            raise _refused(Mistake.ADDRESS_UNRESOLVED, field)
        if not all(self._inside(literal) for literal in literals):
            raise _refused(Mistake.ADDRESS_NETWORK, field)
        return address

    def _parse(self, url: str, field: str) -> Address:
        if len(url) > MAX_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
            raise _malformed(field)
        parts, port = _split(url, field)
        if parts.scheme not in self.schemes:
            raise _refused(Mistake.ADDRESS_SCHEME, field)
        if not parts.hostname or "%" in parts.hostname or "\\" in parts.netloc:
            raise _malformed(field)
        return Address(url, parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme])

    def _inside(self, literal: str) -> bool:
        try:
            address = ip_address(literal)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks if network.version == address.version)


def _split(url: str, field: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        raise _malformed(field) from None


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _malformed(field: str) -> InputError:
    return InputError("this is not a source address", errors={field: Mistake.ADDRESS_FORM})


def _refused(mistake: Mistake, field: str) -> AddressError:
    return AddressError(f"the source address is refused: {mistake}", errors={field: mistake})
