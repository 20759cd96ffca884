"""The page as a browser shows it: pictures drawn, nothing complained of, nothing cut off."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from llmroute import RouterChain, WillingnessToPay
from llmroute.evaluation import evaluate
from tests.evaluation.made_up import Told, made_up, pool_of

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a browser to look at the page with: no `chromium` on the path"
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
)
LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"
WIDTH, HEIGHT = 1280, 3000

#: Says how a page is laid out, from a copy of it: the page itself runs no script.
MEASURE = """<script>
addEventListener("load", () => {
  const images = [...document.images];
  const place = (image) => {
    const box = image.getBoundingClientRect();
    return [box.x, box.y, box.width, box.height];
  };
  document.title = "MEASURED" + JSON.stringify({
    wide: document.documentElement.scrollWidth,
    pictures: images.map(place),
    loaded: images.map((e) => e.naturalWidth),
  });
});
</script>"""


def browse(page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def shot(page: Path, folder: Path, scheme: str) -> tuple[np.ndarray, str]:
    """What is seen, (height, width, 3) in 0..1, and what the browser had to say."""
    from matplotlib.image import imread

    file = folder / "shot.png"
    done = browse(
        page, folder / "profile", scheme, f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={file}"
    )
    return imread(file)[..., :3], done.stderr


def measured(page: Path, folder: Path, width: int) -> dict[str, list[float]]:
    """Where the pictures are in a frame of some width, and how wide the page is."""
    copy = folder / "measured.html"
    html = re.sub("<meta http-equiv[^>]*>", "", page.read_text("utf-8"))
    copy.write_text(html.replace("</body>", f"{MEASURE}</body>"), "utf-8")
    done = browse(copy, folder / "profile", f"--window-size={width},{HEIGHT}", "--dump-dom")
    found = re.search(r"<title>MEASURED(.*?)</title>", done.stdout)
    assert found, done.stderr
    content: dict[str, list[float]] = json.loads(found[1])
    return content


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outcomes = made_up(models=6)
    chain = RouterChain(
        pool=pool_of(outcomes),
        scorer=Told(outcomes, 0.1 + 0.6 * outcomes.score),
        policy=WillingnessToPay(usd=1e-3),
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    evaluate(chain, outcomes, replicates=50, classic=False).to_html(path)
    return path


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_pictures_are_drawn_and_nothing_is_complained_of(
    page: Path, tmp_path: Path, scheme: str
) -> None:
    seen, said = shot(page, tmp_path, scheme)
    assert "CONSOLE" not in said
    assert seen.shape == (HEIGHT, WIDTH, 3)
    places = measured(page, tmp_path, WIDTH)["pictures"]
    assert len(places) == 3
    for x, y, wide, high in np.array(places).astype(int):
        part = seen[y : y + high, x : x + wide]
        assert part.size, "the screenshot ends above this picture"
        colours = {tuple(colour) for colour in (255 * part[::2, ::2]).astype(int).reshape(-1, 3)}
        assert len(colours) > 50, "a blank picture has one colour"
    background = seen[5, 5].mean()
    assert background > 0.9 if scheme == LIGHT else background < 0.1


def test_the_document_holds_the_pictures(page: Path, tmp_path: Path) -> None:
    done = browse(page, tmp_path / "profile", "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<picture>") == 3
    assert done.stdout.count("data:image/svg+xml;base64,") == 6
    assert all(wide > 0 for wide in measured(page, tmp_path, WIDTH)["loaded"])


@pytest.mark.parametrize("width", [500, 800, WIDTH])  # 500: no window of Chromium is narrower
def test_the_page_is_no_wider_than_the_window(page: Path, tmp_path: Path, width: int) -> None:
    assert measured(page, tmp_path, width)["wide"] <= width


def test_nor_than_a_telephone(page: Path, tmp_path: Path) -> None:
    """A frame stands in for the telephone, since no window is that narrow."""
    copy = tmp_path / "inner.html"
    html = re.sub("<meta http-equiv[^>]*>", "", page.read_text("utf-8"))
    tell = "<script>onload = () => parent.postMessage(document.documentElement.scrollWidth, '*')"
    copy.write_text(html.replace("</body>", f"{tell}</script></body>"), "utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(
        "<script>onmessage = (e) => { document.title = 'WIDE ' + e.data; }</script>"
        '<iframe src="inner.html" style="border:0;width:390px;height:3000px"></iframe>'
    )
    done = browse(outer, tmp_path / "profile", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r"<title>WIDE (\d+)</title>", done.stdout)
    assert found, done.stderr
    assert int(found[1]) <= 390
