"""Localization files as napari's layers; napari itself is asked where it is installed."""

from __future__ import annotations

import dataclasses
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from npe2 import PluginManager, PluginManifest
from npe2.io_utils import read_get_reader

import smlmfmt
from smlmfmt import Bundle, FormatError, Image, LocTable
from smlmfmt.layer_images import decoded
from smlmfmt.layers import (
    POINTS_MAX,
    bundle_layers,
    get_reader,
    open_localizations,
    read_layers,
    uniform_rows,
)
from smlmfmt.png import encode_png
from tests.smlmfmt.from_registry import MANIFEST, patterns
from tests.smlmfmt.test_shared_files import SHARED, TRUTH

PLUGIN = "locmesh"
RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def table(rows: int = 20, **columns: Any) -> LocTable:
    random = np.random.default_rng(3)
    given_: dict[str, Any] = {
        "frame": np.arange(rows),
        "x": random.random(rows) * 1000,
        "y": random.random(rows) * 1000,
        "uncertainty_xy": np.full(rows, 7.5),
    }
    given_ |= columns
    units = {name: "nm" for name in given_ if name in {"x", "y", "z", "uncertainty_xy"}}
    return LocTable(given_, units, name="t", frame_origin=1)


def layers(*tables: LocTable, points_max: int = POINTS_MAX) -> list[Any]:
    return bundle_layers(Bundle(tables=tables), name="a.csv", points_max=points_max)[0]


def notes(*tables: LocTable, points_max: int = POINTS_MAX, images: Any = ()) -> str:
    bundle = Bundle(tables=tables, images=images, warnings=("what the reader saw",))
    return "\n".join(bundle_layers(bundle, name="a.csv", points_max=points_max)[1])


def test_points_are_in_nanometres_y_before_x() -> None:
    source = table()
    ((data, about, kind),) = layers(source)
    assert kind == "points"
    np.testing.assert_array_equal(data, np.column_stack([source["y"], source["x"]]))
    assert (about["units"], about["scale"], about["axis_labels"]) == (
        ("nm", "nm"), (1.0, 1.0), ("y", "x"))  # fmt: skip
    assert list(about["features"]) == ["frame", "uncertainty_xy"]
    assert (about["name"], about["size"]) == ("a.csv", 15.0)
    facts = about["metadata"]
    assert (facts["rows"], facts["rows_shown"], facts["sample_seed"]) == (20, 20, None)
    assert (facts["frame_origin"], facts["column_units"]["x"]) == (1, "nm")


def test_depth_is_the_first_axis_and_zeros_are_none() -> None:
    flat, deep = layers(table(z=np.zeros(20)), table(z=np.arange(20.0)))
    assert (flat[0].shape, deep[0].shape) == ((20, 2), (20, 3))
    assert "z" in flat[1]["features"]
    np.testing.assert_array_equal(deep[0][:, 0], np.arange(20))
    assert "3D view" in notes(table(z=np.arange(20.0)))
    assert "3D" not in notes(table(z=np.zeros(20)))


def test_each_channel_is_a_layer_of_its_own_colour() -> None:
    found = layers(table(channel=np.arange(20) % 3))
    assert [about["name"] for _, about, _ in found] == ["a.csv [0]", "a.csv [1]", "a.csv [2]"]
    assert len({about["face_color"] for _, about, _ in found}) == 3
    assert sum(len(data) for data, _, _ in found) == 20
    assert found[1][1]["features"]["frame"].tolist() == [1, 4, 7, 10, 13, 16, 19]
    assert len(layers(table(channel=np.arange(20)))) == 1
    odd = np.array([np.nan, 1.0] * 10)
    assert [len(data) for data, _, _ in layers(table(channel=odd))] == [10, 10]


def test_a_large_table_shows_a_sample_and_says_so() -> None:
    ((data, about, _),) = layers(table(500), points_max=50)
    assert data.shape == (50, 2)
    assert about["name"] == "a.csv (sample, 50 of 500)"
    assert all(len(values) == 50 for values in about["features"].values())
    assert about["metadata"]["rows"] == 500
    assert about["metadata"]["sample_seed"] is not None
    assert "50 of 500" in notes(table(500), points_max=50)
    np.testing.assert_array_equal(data, layers(table(500), points_max=50)[0][0])


@given(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 2**32))
def test_a_sample_has_each_row_once(count: int, wanted: int, seed: int) -> None:
    wanted = min(wanted, count)
    rows = uniform_rows(count, wanted, seed=seed)
    assert len(rows) == wanted
    assert (np.diff(rows) > 0).all()
    assert not wanted or (rows[0] >= 0 and rows[-1] < count)


def test_a_sample_is_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smlmfmt.layers.BLOCK_ROWS", 7)
    hits = np.zeros(40)
    for seed in range(2000):
        hits[uniform_rows(40, 10, seed=seed)] += 1
    # Each row is in 500 of 2000 samples, give or take 19 (one standard deviation).
    assert abs(hits - 500).max() < 5 * 19.4


def test_rows_without_a_position_are_counted() -> None:
    x = np.arange(20.0)
    x[3] = np.inf
    ((data, about, _),) = layers(table(x=x))
    assert (len(data), about["metadata"]["rows"]) == (19, 20)
    assert "1 localizations without a finite position" in notes(table(x=x))


def test_channels_keep_their_numbers() -> None:
    large = np.array([1_234_567, 1_234_568] * 10)
    found = [about["name"] for _, about, _ in layers(table(channel=large))]
    assert found == ["a.csv [1234567]", "a.csv [1234568]"]
    odd = [about["name"] for _, about, _ in layers(table(channel=np.array([0.5, np.inf] * 10)))]
    assert odd == ["a.csv [0.5]", "a.csv [inf]"]


POSITIONS = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))


@given(
    rows=st.lists(st.tuples(POSITIONS, POSITIONS, POSITIONS, st.integers(0, 20)), max_size=40),
    points_max=st.integers(1, 50),
)
def test_every_row_is_shown_or_counted(
    rows: list[tuple[float, float, float, int]], points_max: int
) -> None:
    x, y, z, channel = np.array(rows, dtype=float).reshape(-1, 4).T
    source = LocTable({"x": x, "y": y, "z": z, "channel": channel}, {"x": "nm", "y": "nm"})
    found = layers(source, points_max=points_max)
    assert sum(about["metadata"]["rows"] for _, about, _ in found) == len(rows)
    for data, about, _ in found:
        assert np.isfinite(data).all()
        assert len(data) == about["metadata"]["rows_shown"] <= points_max
        assert all(len(values) == len(data) for values in about["features"].values())
        assert np.isfinite(about["size"])


def test_an_empty_table_is_an_empty_layer() -> None:
    ((data, about, _),) = layers(table(0))
    assert data.shape == (0, 2)
    assert about["size"] > 0


def test_what_no_layer_can_be_made_of_is_refused() -> None:
    with pytest.raises(FormatError, match="no x and y"):
        layers(LocTable({"a": [1.0]}))
    with pytest.raises(FormatError, match="'px'"):
        layers(LocTable({"x": [1.0], "y": [1.0]}, {"x": "px", "y": "nm"}))
    with pytest.raises(FormatError, match="points_max"):
        layers(table(), points_max=0)


def test_an_image_with_a_pixel_size_is_placed() -> None:
    entry = {"pixel_size": 100, "offset": {"x": 14, "y": 12}}
    image = Image(name="w.png", data=encode_png(RGB), media_type="image/png", metadata=entry)
    raw = Image(
        name="w.raw", data=np.arange(6, dtype="<u2").tobytes(), dtype="uint16", shape=(2, 3),
        media_type="application/octet-stream", metadata={"pixel_size": 50.0},
    )  # fmt: skip
    bundle = Bundle(tables=[table()], images=[image, raw])
    padded = dataclasses.replace(
        raw, data=b"head" + raw.data, shape=(2, 3, 1),
        metadata={"pixel_size": 50, "layout": {"offset": 4}},
    )  # fmt: skip
    assert decoded(padded).tolist() == [[0, 1, 2], [3, 4, 5]]
    colour, grey, points = bundle_layers(bundle, name="a.smlm")[0]
    np.testing.assert_array_equal(colour[0], RGB)
    assert (colour[1]["rgb"], colour[1]["scale"]) == (True, (100.0, 100.0))
    assert colour[1]["translate"] == (62.0, 64.0)
    np.testing.assert_array_equal(grey[0], [[0, 1, 2], [3, 4, 5]])
    assert (grey[2], points[2]) == ("image", "points")


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (Image(name="i", data=encode_png(RGB), media_type="image/png"), "pixel size"),
        (Image(name="i", data=b"\x89PNG\r\n\x1a\nno", media_type="image/png",
               metadata={"pixel_size": 1}), "decoded"),
        (Image(name="i", data=b"12345", media_type="application/octet-stream", shape=(2, 3),
               dtype="uint8", metadata={"pixel_size": 1}), "5 B"),
        (Image(name="i", data=bytes(12), media_type="application/octet-stream", shape=(2, 3, 2),
               dtype="uint8", metadata={"pixel_size": 1}), "(2, 3, 2)"),
        (Image(name="i", data=b"", media_type="application/octet-stream", shape=(0, 0),
               dtype="object", metadata={"pixel_size": 1}), "object"),
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_shown_says_why(image: Image, why: str) -> None:
    assert why in notes(table(), images=[image])


def test_a_thumbnail_is_no_layer() -> None:
    image = Image(name="thumbnail", data=encode_png(RGB), media_type="image/png")
    assert notes(table(), images=[image]) == "what the reader saw"


def write(path: Path, source: LocTable) -> str:
    smlmfmt.write(path, source)
    return str(path)


def test_only_localizations_are_taken(tmp_path: Path) -> None:
    other = tmp_path / "points.csv"
    other.write_text("index,axis-0,axis-1\n0,1,2\n")
    ours = write(tmp_path / "a.csv", table())
    assert get_reader(str(other)) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "missing.csv")) is None
    assert get_reader([ours, str(other)]) is None
    assert get_reader([]) is None
    assert get_reader(ours) is read_layers


def test_pixels_are_asked_for_in_napari_s_words(tmp_path: Path) -> None:
    path = tmp_path / "pixels.csv"
    path.write_text("frame,x [px],y [px]\n1,2.5,3.5\n2,4,5\n")
    with pytest.raises(FormatError, match="Plugins > Localizations with options"):
        read_layers(str(path))
    ((data, about, _),) = open_localizations(path, pixel_size_nm=100)
    assert data.tolist() == [[350, 250], [500, 400]]
    assert about["metadata"]["path"] == str(path)


def test_the_manifest_follows_the_registry() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.contributions.readers is not None
    assert manifest.contributions.readers[0].filename_patterns == patterns()
    suffixes = {suffix for item in smlmfmt.formats() if item.reads for suffix in item.suffixes}
    assert {f"*{suffix}" for suffix in suffixes} == set(patterns())


@pytest.fixture
def plugins() -> PluginManager:
    manager = PluginManager.instance()
    manager.discover()
    return manager


def test_npe2_finds_the_plugin_as_it_is_installed(plugins: PluginManager, tmp_path: Path) -> None:
    assert PLUGIN in plugins
    path = write(tmp_path / "a.smlm", table())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, reader = read_get_reader([path], plugin_name=PLUGIN, stack=False)
    assert reader.command == "locmesh.get_reader"
    assert [layer[2] for layer in found if len(layer) == 3] == ["points"]


@pytest.fixture
def viewer(plugins: PluginManager) -> Any:
    assert PLUGIN in plugins
    if find_spec("napari") is None:
        pytest.skip("napari is not installed (the extra `napari`)")
    from napari.components import ViewerModel  # noqa: PLC0415

    return ViewerModel()


def test_napari_itself_opens_files(viewer: Any, tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", table())
    second = write(tmp_path / "b.smlm", table(z=np.arange(20.0), channel=np.arange(20) % 2))
    viewer.open([first, second], plugin=PLUGIN)
    assert [layer.name for layer in viewer.layers] == ["a.csv", "b.smlm [0]", "b.smlm [1]"]
    flat, deep, _ = viewer.layers
    assert {str(unit) for unit in deep.units} == {"nanometer"}
    assert (flat.data.shape, deep.data.shape) == ((20, 2), (10, 3))
    assert list(flat.features.columns) == ["frame", "uncertainty_xy"]
    assert flat.size[0] == pytest.approx(15)


def test_napari_itself_shows_images_where_they_belong(viewer: Any, tmp_path: Path) -> None:
    entry = {"pixel_size": 100, "offset": {"x": 0, "y": 0}}
    image = Image(name="w.png", data=encode_png(RGB), media_type="image/png", metadata=entry)
    path = tmp_path / "a.smlm"
    smlmfmt.write(path, Bundle(tables=[table()], images=[image]))
    viewer.open(str(path), plugin=PLUGIN)
    # The middles of the first and the last of 4 x 5 pixels of 100 nm.
    assert viewer.layers[0].extent.world.tolist() == [[50, 50], [350, 450]]


@pytest.mark.shared
@pytest.mark.skipif(not TRUTH, reason="the shared sample files are not here")
@pytest.mark.parametrize("name", sorted(name for name in TRUTH if (SHARED / name).is_file()))
def test_napari_opens_what_labs_have(viewer: Any, name: str) -> None:
    path = SHARED / name
    if smlmfmt.sniff(path) is None:
        assert get_reader(str(path)) is None
        return
    viewer.open(str(path), plugin=PLUGIN)
    tables = smlmfmt.read(path).tables
    assert sum(layer.metadata["rows"] for layer in viewer.layers) == sum(map(len, tables))
