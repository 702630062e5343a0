"""What looks like a key or a password in a text: refused in every value of a spec, and shown nowhere in full.

A spec is shared, and what stands in it goes into manifests, reports, logs and trackers. A key is therefore named by its
environment variable. Known forms are told by their shape; others by letters and digits mixed as only chance mixes them.
Digests, commits and paths are none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

HEX_KEYS = ("revision", "digest")
"""Keys of a spec whose value is a commit or a digest."""

_SHAPES = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9])(?:
        sk-(?:[A-Za-z0-9]{1,20}-){0,4}?[A-Za-z0-9_]{16,}[A-Za-z0-9_-]* | [sr]k_(?:live|test)_[A-Za-z0-9]{16,}
      | hf_[A-Za-z0-9]{20,} | (?:AKIA|ASIA)[0-9A-Z]{16} | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}
      | glpat-[A-Za-z0-9_-]{16,} | xox[a-z]-[A-Za-z0-9-]{10,} | AIza[0-9A-Za-z_-]{30,} | (?:gsk|npm|r8)_[A-Za-z0-9]{20,}
      | nvapi-[A-Za-z0-9_-]{20,} | wandb_v1_[A-Za-z0-9_]{20,}
      | eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.?[A-Za-z0-9_-]*
    )
    | -----BEGIN[A-Z ]*PRIVATE\ KEY-----
    | \b(?i:bearer|basic)\s+(?=[^\s]*\d)[A-Za-z0-9._~+/-]{16,}=*
    | \b(?i:key|token|secret|login|wandb)(?:\s+is)?\W+[0-9a-f]{40}\b
    | (?<=://)[^/\s?\#@"']+(?=@)
    | (?<=[?&;#])(?i:[a-z_-]*(?:key|token|secret|password|passwd|pwd|signature)|auth|sig)=[^&\s\#"']+
    | (?<![A-Za-z0-9_])(?:[A-Z][A-Z0-9_]*_)?(?:KEY|TOKEN|SECRET|PASSWORD)=(?!["']?\$)["']?[^\s"']{6,}
    | (?<![A-Za-z0-9_])(?i:api_?key|access_?token|auth_?token|password|passwd|secret)["']?\s*=\s*["']?[^\s"',}]{4,}
    """
)
_NAMED = re.compile(
    r"""(?x)((?<![A-Za-z0-9_])(?i:api_?key|key|(?:access_?|auth_?)?token|password|passwd|secret|key_from)["']?\s*:\s*["']?)
    (?![A-Z][A-Z0-9_]*(?:[\s"',}]|$))([^\s"',{}]{4,})"""
)
_BEFORE_COMMIT = re.compile(r"(?:revision|digest|commit)[\"']?\s*[:=]?\s*[\"']?$|[/@]$")
_HEX = re.compile(r"(?i)[0-9a-f]{40}")
_RUN = re.compile(
    r"(?<![A-Za-z0-9/])[A-Za-z0-9]{28,}(?![A-Za-z0-9/])|(?<![\w/+.=-])[A-Za-z0-9][A-Za-z0-9/+]{39}(?![\w/+.=-])"
)


def _keys_in(text: str) -> Iterator[tuple[int, int]]:
    """Where keys begin and end in a text."""
    yield from (each.span() for each in _SHAPES.finditer(text))
    yield from (each.span() for each in _RUN.finditer(text) if _is_random(each[0]))


def _is_random(text: str) -> bool:
    """Whether capitals, small letters and digits stand in no order: every third letter or more is of another sort.

    What has more slashes than chance gives is a path.
    """
    sorts = [letter.isdigit() + 2 * letter.isupper() for letter in text]
    changes = sum(left != right for left, right in pairwise(sorts))
    return len(set(sorts)) == 3 and changes * 3 >= len(text) and text.count("/") < 3


def is_key(text: str, path: Sequence[str | int] = ()) -> bool:
    """Whether a value holds what looks like a key; `path` is where it stands.

    >>> [is_key(text) for text in ("sk-" + "aB3" * 8, "https://me:word@host/v1", "https://host/v1?api_key=word")]
    [True, True, True]
    >>> [is_key(text) for text in ("https://host/v1?api-version=2", "models--x/snapshots/" + "0a" * 20, "sk-learn")]
    [False, False, False]
    """
    whole_hex = _HEX.fullmatch(text.strip()) and (not path or path[-1] not in HEX_KEYS)
    return bool(whole_hex) or any(True for _ in _keys_in(text))


def masked(text: str, *, is_source: bool = False) -> str:
    """The text with stars in the place of keys, all but their first four letters; it stays as long as it was.

    A line of a spec also without what stands behind names such as `password:`, unless it is that of a variable.

    >>> masked("tags: [sk-abcdefghijklmnopqrst]"), masked("password: hunter2", is_source=True)
    ('tags: [sk-a*******************]', 'password: *******')
    """
    if is_source:
        text = _NAMED.sub(lambda found: found[1] + "*" * len(found[2]), text)
        text = _HEX.sub(lambda found: found[0] if _is_commit(found) else _starred(found[0]), text)
    for start, end in _keys_in(text):
        text = text[:start] + _starred(text[start:end]) + text[end:]
    return text


def _is_commit(found: re.Match[str]) -> bool:
    return bool(_BEFORE_COMMIT.search(found.string[max(0, found.start() - 20) : found.start()]))


def _starred(key: str) -> str:
    return key[:4] + "*" * (len(key) - 4)
