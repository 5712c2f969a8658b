import math
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smlmfmt import FormatError, LocTable, raster
from smlmfmt.colormaps import COLORMAPS, DEPTH, colormap, lightness
from smlmfmt.errors import HeaderError, SizeLimitError
from smlmfmt.png import encode_png
from smlmfmt.raster import auto_view, draw, view_of
from smlmfmt.render import MODES, render
from smlmfmt.scalebar import burn_scale_bar, format_length, round_length_nm


def _cloud(rows: int, *, seed: int = 1, z: bool = False) -> LocTable:
    random = np.random.default_rng(seed)
    columns = {
        "x": random.normal(10_000, 2_000, rows),
        "y": random.normal(8_000, 1_000, rows),
        "uncertainty_xy": random.lognormal(2.5, 0.6, rows),
    }
    return LocTable(columns | ({"z": random.normal(0, 200, rows)} if z else {}))


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 300),
    size_px=st.integers(1, 90),
    side=st.floats(10, 1e5),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 9),
)
def test_the_total_is_the_number_of_localizations_in_view(
    rows: int, size_px: int, side: float, mode: str, seed: int
) -> None:
    table = _cloud(rows, seed=seed)
    view = view_of(((10_000, 10_000 + side), (8_000, 8_000 + side)), size_px)
    x, y = table["x"], table["y"]
    inside = (x >= 10_000) & (x <= 10_000 + side) & (y >= 8_000) & (y <= 8_000 + side)
    image = draw(table, view, gaussian=mode == "gaussian")[0]
    assert image.sum() == pytest.approx(int(inside.sum()), rel=1e-9)


def test_a_view_of_everything_leaves_nothing_out() -> None:
    table = _cloud(5_000)
    view = auto_view(table, 64)
    assert view is not None
    assert draw(table, view)[0].sum() == 5_000


def test_classes_counted_in_batches_add_up_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    table = _cloud(2_000, z=True)
    view = auto_view(table, 40)
    assert view is not None
    depth = raster.Depth(z_min_nm=-300, z_max_nm=300, lut=DEPTH)
    whole = draw(table, view, gaussian=True, depth=depth)
    monkeypatch.setattr(raster, "CELLS_MAX", 40 * 40 * 2)
    monkeypatch.setattr(raster, "BLOCK_ROWS", 300)
    np.testing.assert_allclose(draw(table, view, gaussian=True, depth=depth), whole, atol=1e-9)


def test_a_gaussian_is_as_wide_as_its_uncertainty() -> None:
    table = LocTable({"x": [505.0], "y": [505.0], "uncertainty_xy": [40.0]})
    image = draw(table, view_of(((0, 1010), (0, 1010)), 101), gaussian=True)[0]
    place = np.arange(101) * 10 + 5
    across = image.sum(axis=0)
    mean = (across * place).sum()
    assert mean == pytest.approx(505, abs=0.01)
    # Classes of width are 30 % apart, so a width is right to 15 %; a pixel adds a little.
    assert math.sqrt((across * (place - mean) ** 2).sum()) == pytest.approx(40, rel=0.16)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([5.0], [7.0]),
        ([5.0] * 100, [7.0] * 100),
        ([math.nan] * 3, [1.0, 2.0, 3.0]),
        ([math.nan, 1.0, math.inf], [1.0, 2.0, -math.inf]),
        ([0.0, 1e7], [0.0, 1e7]),
        ([1e300, -1e300], [0.0, 1.0]),
        ([1e12, -1e12], [0.0, 1.0]),
    ],
)
def test_odd_tables_give_pictures(mode: str, x: list[float], y: list[float]) -> None:
    picture = render(LocTable({"x": x, "y": y}), mode=mode, size_px=80)
    assert picture.shape == (80, 80, 3)
    assert picture.dtype == np.uint8


def test_a_table_without_positions_is_black() -> None:
    assert not render(LocTable({"x": [math.nan], "y": [0.0]}), size_px=90).any()


def test_one_localization_is_one_bright_pixel() -> None:
    picture = render(LocTable({"x": [3.0], "y": [4.0]}), size_px=9, scale_bar=False)
    assert picture.any(axis=2).sum() == 1


@pytest.mark.parametrize("mode", MODES)
def test_contrast_does_not_depend_on_rows_without_a_position(mode: str) -> None:
    table = _cloud(3_000)
    stray = {name: np.append(table[name], [math.nan] * 500) for name in table}
    np.testing.assert_array_equal(
        render(LocTable(stray), mode=mode, size_px=100), render(table, mode=mode, size_px=100)
    )


def test_unusable_uncertainties_are_drawn_one_pixel_wide() -> None:
    place = {"x": [0.0, 1000.0], "y": [0.0, 1000.0]}
    bad = LocTable(place | {"uncertainty_xy": [math.nan, -3.0]})
    np.testing.assert_array_equal(
        render(bad, mode="gaussian", size_px=50),
        render(LocTable(place), mode="gaussian", size_px=50),
    )


def test_x_grows_to_the_right_and_y_downwards() -> None:
    table = LocTable({"x": [900.0], "y": [100.0]})
    picture = render(table, size_px=10, scale_bar=False, bounds=((0, 1000), (0, 1000)))
    assert np.argwhere(picture.any(axis=2)).tolist() == [[1, 9]]


def test_far_strays_do_not_shrink_the_picture() -> None:
    table = _cloud(20_000)
    far = LocTable({"x": np.append(table["x"], 1e8), "y": np.append(table["y"], -1e8)})
    view = auto_view(far, 100)
    assert view is not None
    assert view.side_nm < 20_000


def test_bounds_are_shown_whole_in_a_square() -> None:
    view = view_of(((0, 4000), (1000, 2000)), 100)
    assert (view.x_nm, view.y_nm, view.side_nm) == (0, -500, 4000)


def test_z_gives_hue_and_density_gives_brightness() -> None:
    low = LocTable({"x": [100.0, 900.0] * 50, "y": [500.0] * 100, "z": [-300.0, 300.0] * 50})
    bounds = ((0.0, 1000.0), (0.0, 1000.0))
    picture = render(low, size_px=10, color_by="z", scale_bar=False, bounds=bounds)
    deep, high = picture[5, 1].astype(int), picture[5, 9].astype(int)
    assert deep[2] > deep[0]
    assert high[0] > high[2]


def test_flat_z_is_coloured_by_density() -> None:
    table = _cloud(500)
    flat = LocTable({name: table[name] for name in table} | {"z": np.zeros(500)})
    np.testing.assert_array_equal(render(flat, color_by="z", size_px=70), render(table, size_px=70))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"mode": "voronoi"}, FormatError),
        ({"colormap": "jet"}, FormatError),
        ({"color_by": "frame"}, FormatError),
        ({"percentile": 0}, FormatError),
        ({"percentile": math.nan}, FormatError),
        ({"size_px": 0}, SizeLimitError),
        ({"size_px": 100_000}, SizeLimitError),
        ({"bounds": ((0, math.nan), (0, 1))}, FormatError),
        ({"bounds": ((5, 1), (0, 1))}, FormatError),
    ],
)
def test_wrong_wishes_are_refused(options: dict[str, object], error: type[FormatError]) -> None:
    with pytest.raises(error):
        render(_cloud(10), **options)  # type: ignore[arg-type]


def test_a_table_without_y_is_refused() -> None:
    with pytest.raises(HeaderError, match="x and y"):
        render(LocTable({"x": [1.0]}))


@pytest.mark.parametrize("name", COLORMAPS)
def test_lightness_rises_evenly_from_black(name: str) -> None:
    lut = colormap(name)
    assert lut.shape == (256, 3)
    assert lut[0].tolist() == [0, 0, 0]
    steps = lightness(lut)
    np.testing.assert_allclose(steps, np.linspace(0, steps[-1], 256), atol=1.0)
    assert steps[-1] > 85


def test_lightness_of_known_colours() -> None:
    # White, black, and mid grey: CIE L* 100, 0 and 53.59.
    known = lightness(np.array([[255, 255, 255], [0, 0, 0], [128, 128, 128]], np.uint8))
    np.testing.assert_allclose(known, [100, 0, 53.585], atol=0.01)


@pytest.mark.parametrize(
    ("side_nm", "length_nm", "text"),
    [
        (20_000, 5_000, "5 \N{MICRO SIGN}m"),
        (3_999, 500, "500 nm"),
        (4_000, 1_000, "1 \N{MICRO SIGN}m"),
        (1e7, 2e6, "2 mm"),
        (100, 20, "20 nm"),
        (2, 0.5, "0.5 nm"),
    ],
)
def test_scale_bars_have_round_lengths(side_nm: float, length_nm: float, text: str) -> None:
    assert round_length_nm(side_nm) == pytest.approx(length_nm)
    assert format_length(length_nm) == text


def test_the_bar_is_as_long_as_it_says() -> None:
    picture = np.full((500, 500, 3), 90, np.uint8)
    burn_scale_bar(picture, 20_000)
    longest = (picture == 255).all(axis=2).sum(axis=1).max()
    assert longest == 125


@pytest.mark.parametrize("size", [64, 80, 128, 300, 1200])
def test_bars_and_labels_fit_pictures_of_all_sizes(size: int) -> None:
    picture = render(_cloud(200, z=True), size_px=size, color_by="z")
    assert picture.shape == (size, size, 3)
    blank = np.full((size, size, 3), 90, np.uint8)
    burn_scale_bar(blank, 20_000)
    assert (blank[0] == 90).all()
    assert (blank != 90).any()


@pytest.mark.parametrize("color_by", ["density", "z"])
def test_png_keeps_every_pixel(color_by: str) -> None:
    picture = render(_cloud(20_000, z=True), size_px=200, color_by=color_by)
    image = Image.open(BytesIO(encode_png(picture)))
    assert image.mode == ("P" if color_by == "density" else "RGB")
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture)
