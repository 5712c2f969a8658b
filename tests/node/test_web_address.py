import contextlib
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.catalog.views import Query, Viewer
from node.errors import InputError
from node.web.address import SearchAddress, parse_limit, parse_number

PUBLISHER = "ab" * 32
SORTS = ("newest", "localizations")


def query_of(*pairs: tuple[str, str]) -> Query:
    return SearchAddress(pairs).query(Viewer.ANONYMOUS, limit=24, cursor=None, sorts=SORTS)


def test_an_address_says_everything_that_was_chosen() -> None:
    query = query_of(
        ("q", " nuclear pores "),
        ("tag", "modality:dstorm"),
        ("tag", "structure:nuclear-pore-complex"),
        ("publisher", PUBLISHER),
        ("license", "CC-BY-4.0"),
        ("dimension", "3"),
        ("localizations_min", "1e4"),
        ("localizations_max", "1.2 M"),
        ("precision_max", "9,5"),
        ("fov_min", "20"),
        ("sort", "newest"),
        ("match", "any"),
    )
    assert query.text == "nuclear pores"
    assert query.tags == ("modality:dstorm", "structure:nuclear-pore-complex")
    assert (query.publisher, query.license, query.dimension) == (PUBLISHER, "CC-BY-4.0", 3)
    assert (query.localizations_min, query.localizations_max) == (10_000, 1_200_000)
    assert (query.precision_max, query.fov_min) == (9.5, 20.0)
    assert (query.sort, query.match, query.viewer) == ("newest", "any", Viewer.ANONYMOUS)


def test_empty_and_unknown_fields_say_nothing() -> None:
    address = SearchAddress([("q", " "), ("tag", ""), ("utm_source", "x"), ("cursor", "abc")])
    assert address.href() == "/"
    assert not address.is_filtered


def test_removing_a_filter_keeps_all_others() -> None:
    address = SearchAddress(
        [("q", "a b"), ("tag", "modality:palm"), ("tag", "structure:actin"), ("dimension", "2")]
    )
    assert address.without("tag", "modality:palm") == "/?q=a+b&tag=structure:actin&dimension=2"
    assert address.cleared == "/?q=a+b"
    assert address.with_value("match", "any").endswith("&match=any")
    assert address.href(cursor="x=1").endswith("&cursor=x%3D1")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("q", "x" * 501),
        ("tag", "modality"),
        ("tag", ":dstorm"),
        ("tag", "modality:"),
        ("publisher", "ab"),
        ("publisher", PUBLISHER.upper()),
        ("license", "x" * 201),
        ("dimension", "4"),
        ("localizations_min", "many"),
        ("localizations_max", "-1"),
        ("precision_max", "nan"),
        ("fov_min", "1e99"),
        ("sort", "random"),
        ("match", "none"),
    ],
)
def test_a_value_without_meaning_names_its_field(field: str, value: str) -> None:
    with pytest.raises(InputError, match=field):
        query_of((field, value))


@pytest.mark.parametrize(
    ("text", "number"),
    [("20000", 2e4), ("20 000", 2e4), ("1e6", 1e6), ("1.2M", 1.2e6), ("3 k", 3e3), ("0", 0.0)],
)
def test_numbers_are_read_as_people_type_them(text: str, number: float) -> None:
    assert parse_number(text, field="f") == number


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert 0 <= parse_number(text, field="f") <= 1e15


@given(st.lists(st.tuples(st.sampled_from(["q", "tag", "sort"]), st.text(max_size=20))))
def test_an_address_leads_back_to_itself(pairs: list[tuple[str, str]]) -> None:
    address = SearchAddress(pairs)
    href = address.href()
    assert href.startswith("/")
    assert SearchAddress(parse_qsl(urlsplit(href).query)).href() == href


@pytest.mark.parametrize("text", ["0", "101", "-1", "ten", "1" * 50])
def test_a_limit_is_from_1_to_100(text: str) -> None:
    assert parse_limit("", default=20) == 20
    assert parse_limit("100", default=20) == 100
    with pytest.raises(InputError, match="limit"):
        parse_limit(text, default=20)
