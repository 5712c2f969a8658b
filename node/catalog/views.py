"""What the catalog answers, ready to be shown: plain frozen values."""

import enum
from dataclasses import dataclass, field

from protocol.head import Completeness
from protocol.records import Dataset, Withdrawal

__all__ = [
    "Change",
    "Completeness",
    "DatasetView",
    "FacetCount",
    "Hit",
    "HitSummary",
    "HitTag",
    "Holder",
    "Outcome",
    "PublisherView",
    "Query",
    "Reachability",
    "Rejection",
    "Results",
    "RevisionView",
    "Viewer",
]


class Viewer(enum.Enum):
    """Who asks, which decides what exists for them."""

    ANONYMOUS = "anonymous"
    MEMBER = "member"
    ADMIN = "admin"

    @property
    def visibilities(self) -> tuple[str, ...]:
        """The visibilities that this viewer may see."""
        return {
            Viewer.ANONYMOUS: ("public",),
            Viewer.MEMBER: ("public", "members"),
            Viewer.ADMIN: ("public", "members", "private"),
        }[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one offered envelope: accepted, held, rejected or duplicate, and why."""

    id: str
    action: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A refused envelope, for the page of the peer that sent it."""

    source: str
    record: str
    reason: str
    detail: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One commit, as far as it concerns one publisher and scope.

    `record_ids` are in the order of arrival; `heads` says whether a newer head was accepted.
    """

    publisher: str
    scope: str
    record_ids: tuple[str, ...]
    heads: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability:
    """Whether a publisher's node answers: `self`, `reachable`, `unreachable` or `unknown`.

    `via` is the publisher id of the node that says so, None for this node's own experience.
    """

    state: str
    since: int | None = None
    via: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherView:
    """A publisher as this node knows it."""

    id: str
    name: str
    institution: str
    contact: str
    urls: tuple[str, ...]
    software: str
    records: int
    datasets: int
    blocked: bool
    forked: bool
    completeness: Completeness
    reachability: Reachability


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionView:
    """One signed record of a dataset's chain; of a fork, both are here."""

    record: str
    revision: int
    issued: int
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A publisher whose node has files of a dataset; `complete` when it has all of them."""

    publisher: str
    name: str
    complete: bool
    blobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """A dataset: what its newest revision says, how it got there, and who has its files.

    `metadata` is the newest dataset record, also of a withdrawn dataset. `status` is `current`,
    `withdrawn` or `forked`; `local` says that every file is held here.
    """

    dataset: str
    revision: int
    record: str
    publisher: PublisherView
    status: str
    visibility: str
    issued: int
    metadata: Dataset
    withdrawal: Withdrawal | None
    revisions: tuple[RevisionView, ...]
    holders: tuple[Holder, ...]
    local: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search. `tags` are `category:term`; `sort` is one of search.SORTS, empty for the best.

    With `match="all"` every word and every tag must be there; with "any" one word and one tag.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    publisher: str | None = None
    license: str | None = None
    dimension: int | None = None
    localizations_min: int | None = None
    localizations_max: int | None = None
    precision_max: float | None = None
    fov_min: float | None = None
    sort: str = ""
    limit: int = 20
    cursor: str | None = None
    match: str = "all"
    viewer: Viewer = Viewer.ANONYMOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class HitTag:
    """A tag of a hit."""

    category: str
    term: str
    label: str
    curie: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HitSummary:
    """What was measured over all tables of a dataset; None where nothing was.

    `precision_nm` is the median lateral uncertainty, weighted by rows, as are `nena_nm` (precision
    by nearest neighbours), `resolution_nm`, `drift_nm` and `localizations_per_frame`; `signature`
    is that of the longest table. `fov_um` is the shorter side of the largest table's bounds;
    `size` the bytes of all files; `files` and `samples` counts.
    """

    localizations: int | None = None
    dimension: int | None = None
    precision_nm: float | None = None
    fov_um: float | None = None
    density_per_um2: float | None = None
    nena_nm: float | None = None
    resolution_nm: float | None = None
    drift_nm: float | None = None
    localizations_per_frame: float | None = None
    signature: str | None = None
    size: int = 0
    files: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One dataset in a list of results; `description` may be cut short."""

    dataset: str
    revision: int
    record: str
    name: str
    description: str
    authors: tuple[str, ...]
    tags: tuple[HitTag, ...]
    license: str
    publisher: str
    publisher_name: str
    institution: str
    thumbnail: str | None
    summary: HitSummary
    holders: int
    issued: int
    status: str
    visibility: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetCount:
    """How many of the results have this term."""

    term: str
    label: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One page of a search; `total` and `facets` speak of all pages.

    Facets are tag categories plus `publisher`, `license` and `dimension`, most frequent first.
    """

    total: int
    took_ms: float
    hits: tuple[Hit, ...]
    facets: dict[str, list[FacetCount]] = field(default_factory=dict)
    cursor: str | None = None
