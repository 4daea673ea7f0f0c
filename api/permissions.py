"""What a role may do: one table. Every route names the permission that it needs."""

from enum import StrEnum

from archiver.vocabulary import Role


class Permission(StrEnum):
    READ = "read"  # captures, registry, search
    REGISTER = "register"  # projects, locations, sources
    BOOK = "book"  # windows
    WATCH = "watch"  # sound and picture
    EXPORT = "export"
    VERIFY = "verify"
    END_PROJECT = "end_project"


GRANTED: dict[Role, frozenset[Permission]] = {
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.SYSTEM: frozenset(),
}
"""A role that is not here has no permission."""


def allowed(role: Role, permission: Permission) -> bool:
    return permission in GRANTED.get(role, frozenset())
