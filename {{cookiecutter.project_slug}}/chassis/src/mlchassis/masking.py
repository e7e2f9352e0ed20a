"""Secrets masked in addresses, connection strings and any other text that leaves the project.

Everything that prints, logs or stores an address goes through this module.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, unquote

MASK = "***"

_WORDS = (
    r"(?:password|passwd|passphrase|\bpass\b|pwd|token|secret|key|odbc_connect|credential|"
    r"\bauth\b|\bsig\b|signature)"
)
_SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
_PATH_NAME = re.compile(r"(path|file|keyspace|keytab|^ssl_?key)$", re.IGNORECASE)
"""Names of query parameters that hold a path, or no secret, although they sound like one."""

# Every repetition in front of a fixed sign is limited: the time for a long text must not grow with
# its square.
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]{0,60}(?::/{1,3}|//)[^\s<>]+")
_BARE_USER = re.compile(r"(?<![\w/:@])[\w.+-]+:[^\s/@:]+@(?=[\w.-])")
_PARAMETER = re.compile(
    rf"([?&;#][^=&;\s]{{0,60}}{_WORDS}[^=&;\s]{{0,60}}=)[^&\s'\"]+", re.IGNORECASE
)
_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
"""A quoted value; a backslash in it keeps the next sign."""
_ASSIGNMENT = re.compile(
    r"((?:password|passwd|(?:(?<![A-Za-z])|(?<=3B))pwd|secret|token|"
    r"(?:access|account|api|private|shared\w*)[_-]?key|signature)\w{0,60}\s*(?:=|%(?:25)*3D)\s*)"
    rf"(\{{(?:\}}\}}|[^}}])*\}}|{_QUOTED}|(?:(?!%(?:25)*3B)[^;&\s'\"])+)",
    re.IGNORECASE | re.DOTALL,
)
_ENTRY = re.compile(
    rf"(['\"][\w-]{{0,60}}{_WORDS}[\w-]{{0,60}}['\"]\s*:\s*)(['\"])(?:\\.|(?!\2)[^\\])*\2",
    re.IGNORECASE | re.DOTALL,
)

_SPACED_USER = re.compile(
    r"([A-Za-z][\w+.-]{0,60}:/{1,3}[^\s/@:]{0,200}:)(?!\d+(?:[/?#\s]|$))[^@]{1,100}@(?=[\w.\[-])"
)
"""User information with spaces or line breaks in the password, although they should be encoded."""
_SPACED_VALUE = re.compile(
    r"(;\s*(?:password|passwd|pwd)\s*=\s*|private[_-]?key\s*=\s*)(?![{\s'\"])[^;&\n'\"]+",
    re.IGNORECASE,
)
"""Values with spaces: within a list that semicolons separate, and of keys with several words."""
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_SPOKEN = re.compile(
    r"(\b[A-Z_]{0,60}(?:PASSWORD|SECRET|TOKEN)[A-Z_]{0,60}: ?|\bBearer |\bBasic (?=[\w+/=]{8})|"
    r"--\w{0,60}(?:password|token|secret)[ =])\S+"
)
_LABELED = re.compile(
    r"(\b(?:password|passwd|passphrase|pwd|(?:access|account|api|private|secret)[ _-]?key)"
    rf"\s*:\s*|\b\w{{0,60}}token:\s*(?=\S{{16}}))(?:{_QUOTED}|\S+)",
    re.IGNORECASE | re.DOTALL,
)
"""A secret behind its name and a colon; a parser's `unexpected token: x` is none."""

_ORACLE = re.compile(r"(\boracle[\w+]{0,60}:/{1,3}[^\s/@:]+)/([^\s@]+)@", re.IGNORECASE)
"""Oracle's own form of user information, user/password."""

_FRAGMENT = re.compile(r"#(?=[\w.%-]+=)")
"""Begin of a fragment that holds parameters, as a query does."""
_VARIABLE = re.compile(r"PASSWORD|PASSWD|PWD_|TOKEN|SECRET|CREDENTIAL|_KEY$|PASSPHRASE")
_NO_DATABASES = frozenset({"", "http", "https", "s3", "gs", "ftp", "ftps", "sftp", "ssh", "git"})
_SHORTEST = 4
"""Shorter secrets are masked where they stand in an address, but not wherever they occur."""


def mask_secrets(text: str) -> str:
    """Mask addresses, connection strings and this process' own secrets within a text."""
    masked = str(text)
    for secret in sorted(_environment_secrets(), key=len, reverse=True):
        masked = masked.replace(secret, MASK)
    masked = _KEY_BLOCK.sub(MASK, masked)
    masked = _ORACLE.sub(rf"\1:{MASK}@", masked)
    masked = _SPACED_USER.sub(rf"\1{MASK}@", masked)
    masked = _ADDRESS.sub(lambda match: mask_address(match[0]), masked)
    masked = _BARE_USER.sub(f"{MASK}@", masked)
    masked = _ENTRY.sub(rf"\1\2{MASK}\2", masked)
    for pattern in (_SPACED_VALUE, _ASSIGNMENT, _PARAMETER, _SPOKEN, _LABELED):
        masked = pattern.sub(rf"\1{MASK}", masked)
    return masked


def mask_address(address: str) -> str:
    """Mask the user information and the secret query parameters of one address.

    A database's user name stays visible; of any other address the whole user information goes,
    since tokens are written there.
    """
    scheme, slashes, rest = _split_scheme(_ORACLE.sub(r"\1:\2@", address))
    user, rest = _split_user(rest)
    if user is not None:
        name, colon, _ = user.partition(":")
        shown = name if _is_database(scheme) and "@" not in user else MASK
        user = f"{shown}:{MASK}@" if colon and shown != MASK else f"{shown}@"
    place, mark, query = _split_query(rest)
    return f"{scheme}{slashes}{user or ''}{place}{mark}{_mask_query(query)}"


def mask_text(text: str, address: str) -> str:
    """Mask a text that may repeat the secrets of an address, such as a driver's error."""
    masked = text
    for secret in sorted(find_secrets(address), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            masked = masked.replace(secret, MASK)
    return mask_secrets(masked)


def find_secrets(address: str) -> set[str]:
    """The secrets that an address holds, as written and decoded."""
    scheme, _, rest = _split_scheme(_ORACLE.sub(r"\1:\2@", address))
    user, rest = _split_user(rest)
    secrets: set[str] = set()
    if user is not None:
        name, colon, password = user.partition(":")
        secrets |= {password} if colon else set()
        secrets |= set() if _is_database(scheme) else {name}
    secrets |= {value for _, value in _secret_parameters(_split_query(rest)[2])}
    return {
        form for secret in secrets if secret for form in (secret, unquote(secret), quote(secret))
    }


def name_secret(address: str) -> str:
    """Return the part of an address that holds a secret, for an error; empty if none does."""
    scheme, _, rest = _split_scheme(_ORACLE.sub(r"\1:\2@", address))
    user, rest = _split_user(rest)
    if user is not None:
        _, colon, password = user.partition(":")
        if (colon and password) or (scheme and not _is_database(scheme)):
            return "before the '@'"
    names = [name for name, _ in _secret_parameters(_split_query(rest)[2])]
    return f"in the parameter '{names[0]}'" if names else ""


def _split_scheme(address: str) -> tuple[str, str, str]:
    """Scheme, slashes and the rest; an address with a missing colon or slash is split too."""
    match = re.match(r"([A-Za-z][\w+.-]*)(:/{1,3}|//)", address)
    if match is None:
        return "", "", address
    # `scheme:///path` has no host: its third slash begins the path.
    slashes = match[2][:3] if match[2].startswith(":") else match[2]
    return match[1], slashes, address[len(match[1]) + len(slashes) :]


def _split_user(rest: str) -> tuple[str | None, str]:
    """User information and the rest; a password may hold any sign, although it should not."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2] if ":" in authority else ""
    odd_port = bool(port) and not port.isdigit() and not port.endswith("]")
    if "@" in authority or (odd_port and "@" in rest):
        # The last `@` ends the user information, unless a query goes on with one of its own.
        limit = len(rest) if odd_port or "?" not in rest else rest.index("?")
        user, _, tail = rest[:limit].rpartition("@")
        if not user and "@" not in rest[:limit]:
            return None, rest
        return user, tail + rest[limit:]
    return None, rest


def _split_query(rest: str) -> tuple[str, str, str]:
    """Place, mark, and the query with the fragment: a sign-in gives its token in the fragment."""
    place, mark, query = rest.partition("?")
    return (place, mark, query) if mark else rest.partition("#")


def _is_database(scheme: str) -> bool:
    return scheme.lower() not in _NO_DATABASES


def _secret_parameters(query: str) -> Iterator[tuple[str, str]]:
    """Names and values of the parameters that hold a secret."""
    for name, value in parse_qsl(_FRAGMENT.sub("&", query), keep_blank_values=False):
        inner = unquote(value)
        if name.lower() == "odbc_connect":
            yield from ((name, match[2].strip("{}'\"")) for match in _ASSIGNMENT.finditer(inner))
        elif _SECRET_NAME.search(name) and not _PATH_NAME.search(name):
            yield name, value


def _mask_query(query: str) -> str:
    parts = re.split(rf"(&|{_FRAGMENT.pattern})", query)
    return "".join(part if part in ("&", "#") else _mask_parameters(part) for part in parts)


def _mask_parameters(part: str) -> str:
    if part.lower().startswith("odbc_connect="):
        return f"{part.partition('=')[0]}={MASK}"  # Its own parts are separated by semicolons.
    return ";".join(map(_mask_parameter, part.split(";")))


def _mask_parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    hidden = bool(equals and value) and bool(_SECRET_NAME.search(unquote(name)))
    return f"{name}={MASK}" if hidden else part


def _environment_secrets() -> set[str]:
    """Secrets that this process was given by its environment."""
    secrets: set[str] = set()
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and not value.startswith(("/", "~", "./")):
            secrets.add(value)
        if "://" in value and "@" in value:
            secrets |= find_secrets(value)
    return {secret for secret in secrets if len(secret) >= _SHORTEST}
