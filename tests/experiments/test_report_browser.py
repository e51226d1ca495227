"""The report in a real browser: everything works by mouse and keyboard, and nothing leaves it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time

import numpy as np
import pytest

from asgcn_dgl import viz
from asgcn_dgl.data import Clip
from asgcn_dgl.experiments.gallery import open_gallery
from asgcn_dgl.experiments.report import write_report, write_view
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.actions.action_builder import ActionBuilder  # noqa: E402
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

# Without a screen and a graphics card: the 3-D drawing is computed by the processor.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers have little of it, and a page that runs out hangs
    "--disable-hang-monitor",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1500,1000",
)
PATIENCE = 60


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if browser is None or service is None:
        pytest.skip("no Chromium with its chromedriver on this machine")
    options = Options()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        driver = webdriver.Chrome(options=options, service=Service(service))
    except WebDriverException as error:
        pytest.skip(f"Chromium does not start here: {error.msg}")
    # Chromedriver waits 300 s for a page, selenium 120 s for chromedriver: who gives up first
    # must be the one that knows what it waited for.
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def gallery(run_dir):
    return open_gallery(run_dir)


@pytest.fixture(scope="module")
def page(run_dir, tmp_path_factory):
    return write_report(run_dir, tmp_path_factory.mktemp("page") / "report.html", clips=11)


class Report:
    """The open page, by what a reader does with it."""

    def __init__(self, driver, path, place=""):
        self.driver = driver
        self.rest()
        driver.get("about:blank")
        driver.get_log("browser"), driver.get_log("performance")
        driver.get(path.as_uri() + place)
        self.until(lambda: self.id("viewer").get_attribute("data-clip"))

    def go(self, name):
        """Open a clip by the address."""
        self.script("location.hash = arguments[0]", f"clip={name}")
        self.until(lambda: self.id("viewer").get_attribute("data-clip") == name)

    def rest(self):
        """Stop a page that plays: drawing by the processor keeps it from answering."""
        self.script(
            "const play = document.getElementById('play');"
            "if (play && play.textContent.trim() === 'Pause') play.click()"
        )

    def until(self, true):
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: true())

    def id(self, name):
        return self.driver.find_element("id", name)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def frame(self):
        return int(self.id("viewer").get_attribute("data-frame"))

    def is_still(self):
        before = self.frame()
        time.sleep(0.5)
        return self.frame() == before

    def points(self, trace):
        """Points of a trace of the scene."""
        return len([x for x in self.trace(trace, "x") if x is not None])

    def trace(self, number, key):
        """What a trace of the scene holds."""
        code = "return document.getElementById('scene').data[arguments[0]][arguments[1]].slice()"
        return self.script(code, number, key)

    def links(self):
        """Points on links of each type."""
        traces = self.script("return document.getElementById('scene').data.length")
        counts = [self.points(trace) for trace in range(6, traces)]
        return [thick + thin for thick, thin in zip(counts[::2], counts[1::2], strict=True)]

    def slide(self, name, value):
        code = (
            "const node = document.getElementById(arguments[0]); node.value = arguments[1]; "
            "node.dispatchEvent(new Event('input'))"
        )
        self.script(code, name, str(value))

    def press(self, name, key):
        self.id(name).send_keys(key)

    def complaints(self):
        """What the console says, without hints on speed."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if "willReadFrequently" not in entry["message"]
            and "GPU stall" not in entry["message"]
            and "WebGL" not in entry["message"]
        ]

    def requests(self):
        """Addresses that were asked for."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found


@pytest.fixture
def opened(driver, page):
    opened = Report(driver, page)
    yield opened
    assert opened.complaints() == []
    assert {url.split(":")[0] for url in opened.requests()} <= {"file", "data", "blob"}


def test_the_page_is_usable_before_the_library_runs(driver, page, opened, gallery):
    usable = float(opened.script("return document.documentElement.dataset.usable"))
    assert usable < 2000 * 5  # milliseconds; five times for machines that do other things too
    assert opened.id("title").text == "tiny"
    assert opened.id("cards").text.startswith("Top-1")
    assert opened.points(1) > 0 and opened.points(2) > 0
    assert opened.id("clip-name").text in gallery.names
    assert len(opened.all("#curves .main-svg")) >= 3


def test_the_network_is_closed(opened):
    code = (
        "const done = arguments[0];"
        "fetch('https://example.org/').then(() => done('open'), () => done('closed'))"
    )
    assert opened.driver.execute_async_script(code) == "closed"
    opened.driver.get_log("browser")  # the complaint that was asked for
    opened.driver.get_log("performance")


def test_choosing_a_clip_and_playing_it(opened):
    second = opened.all("#clips-body .open")[1]
    name = second.text
    second.click()
    opened.until(lambda: opened.id("viewer").get_attribute("data-clip") == name)
    assert opened.id("clip-name").text == name
    assert opened.all("#clips-body tr.chosen .open")[0].text == name
    assert len(opened.all("#probabilities li")) == 5
    marked = [node.text for node in opened.all("#probabilities .truth > span:first-child")]
    label = opened.id("clip-facts").text.split(" · ")[0]
    assert marked in ([], [f"{label} (true)"])  # of the five most probable
    # Slowly, so that a busy machine sees it before it goes round.
    Select(opened.id("speed")).select_by_value("0.25")
    before = opened.trace(2, "x")
    opened.id("play").click()
    assert opened.id("play").text == "Pause"
    opened.until(lambda: opened.frame() > 0 and opened.trace(2, "x") != before)
    opened.id("play").click()
    assert opened.id("play").text == "Play"
    opened.until(opened.is_still)  # after what was being drawn when it paused
    assert opened.is_still()
    opened.slide("scrub", 0)
    opened.until(lambda: opened.frame() == 0)
    opened.id("clip-next").click()
    opened.until(lambda: opened.id("viewer").get_attribute("data-clip") != name)


def test_an_address_may_name_clip_and_frame(driver, page, gallery):
    opened = Report(driver, page, f"#clip={gallery.names[2]}&frame=5")
    opened.until(lambda: opened.frame() == 5)
    assert opened.id("clip-name").text == gallery.names[2]
    assert opened.all("#clips-body tr.chosen .open")[0].text == gallery.names[2]


def test_the_open_page_follows_its_address(opened, gallery):
    name = next(name for name in gallery.names[3:] if name != opened.id("clip-name").text)
    opened.id("filter-name").send_keys("nothing is named so")
    opened.script("location.hash = arguments[0]", f"clip={name}&frame=7")
    opened.until(lambda: opened.id("viewer").get_attribute("data-clip") == name)
    opened.until(lambda: opened.frame() == 7)


def test_a_lowered_threshold_is_told(opened):
    code = (
        "const { player } = window.report; const links = player.clip.models[0].links;"
        "links.values = links.values.map(() => arguments[0]); return player.use(0)"
    )
    said = opened.id("links-count")
    opened.script(code, 25)  # of 255, for each of two types
    assert "no link is stronger than 0.20: threshold lowered" in said.text
    assert float(opened.id("threshold").get_attribute("value")) == pytest.approx(0.19)
    opened.slide("threshold", 0.1)
    opened.until(lambda: "lowered" not in said.text)
    opened.script(code, 120)
    opened.slide("threshold", 0.9)
    alike = r"(\d+) of \1 pairs linked above 0.90: none stands out; none is drawn"
    opened.until(lambda: re.fullmatch(alike, said.text) and opened.links() == [0, 0])
    opened.id("matrix-panel").find_element("css selector", "summary").click()
    opened.until(lambda: opened.id("alike").is_displayed())
    assert "pairs linked above 0.90: none stands out" in opened.id("alike").text
    assert not opened.all("#strongest li")
    opened.script(code, 12)
    opened.until(lambda: said.text.startswith("Almost no link") and opened.links() == [0, 0])
    assert opened.id("alike").text.startswith("Almost no link")
    assert not opened.all("#strongest li")


def test_links_of_joints_that_are_not_seen(driver, tmp_path):
    """None is drawn to a joint that the clip never shows; the stage says how many a frame hides."""
    layout = get_layout("coco17")
    pos = np.asarray(layout.pose)[None, None] + np.zeros((1, 5, 1, 1))
    mask = np.ones((1, 5, 17), dtype=bool)
    mask[0, :, 0] = mask[0, 0, 1] = False
    links = np.zeros((1, 17, 17))
    links[0, [0, 1, 3], [2, 2, 4]] = 0.99, 0.97, 0.95
    clip = viz.Exhibit("clip", layout, pos, mask, links=links)
    page = viz.Page("clip", "", [viz.Row("clip")], [clip])
    opened = Report(driver, viz.write_page(tmp_path / "page.html", page))
    assert opened.id("links-count").text == "2 of 240 pairs linked above 0.90"
    lost = "nose and left eye not seen in this frame, so that 1 of 2 links are not drawn"
    assert opened.id("unseen").text == lost
    assert opened.links() == [24]  # points of an arrow
    opened.slide("scrub", 1)
    opened.until(lambda: opened.links() == [48])
    assert opened.id("unseen").text == "nose not seen in this frame"


def test_links_by_type_and_threshold(opened, gallery):
    name = opened.id("clip-name").text
    (exhibit,) = gallery.exhibits([gallery.place(name)])
    total = np.round(255 * exhibit.links) / 255

    def expected(types, threshold):
        return int((total[types].sum(axis=0) > threshold).sum())

    def said():
        return int(opened.id("links-count").text.split()[0])

    for threshold in (0.31, 0.61):
        opened.slide("threshold", threshold)
        opened.until(lambda t=threshold: said() == expected([0, 1], t))
        assert opened.id("threshold-value").text == f"{threshold:.2f}"
    opened.slide("threshold", 0.21)
    opened.until(lambda: said() == expected([0, 1], 0.21))
    first, second = opened.all("#link-types input")
    second.click()
    opened.until(lambda: said() == expected([0], 0.21))
    opened.until(lambda: opened.links()[1] == 0)
    first.click()
    opened.until(lambda: opened.links() == [0, 0])
    assert opened.id("links-count").text == "No type is chosen; none is drawn"
    second.click()
    opened.until(lambda: said() == expected([1], 0.21))
    # Only links between joints that are seen in this frame are drawn: 21 points, six of a head.
    assert opened.links()[0] == 0 and opened.links()[1] % 27 == 0
    assert "from the joint that sends" in opened.id("key").text


def test_responses_and_predictions_are_switched(opened, gallery):
    opened.until(lambda: opened.points(3) > 0)
    opened.id("show-response").click()
    opened.until(lambda: opened.points(3) == 0)
    last = int(opened.id("scrub").get_attribute("max"))
    assert opened.points(4) == 0
    opened.slide("scrub", last)
    opened.until(lambda: opened.points(4) > 0)
    assert opened.id("frame").text.endswith("predicted +10")
    over = opened.trace(5, "x")
    opened.id("future-beside").click()
    opened.until(lambda: opened.trace(5, "x") != over)
    opened.id("show-future").click()
    opened.until(lambda: opened.points(4) == 0)


def test_the_timeline_marks_the_prediction(opened):
    scrub, mark = opened.id("scrub"), opened.id("future-mark")
    last = int(scrub.get_attribute("max"))
    thumb = 8 + (scrub.rect["width"] - 16) * (last - 9) / last
    assert mark.rect["x"] - scrub.rect["x"] == pytest.approx(thumb, abs=1)
    assert mark.rect["height"] > 15
    opened.id("to-future").click()
    opened.until(lambda: opened.frame() == last - 9)
    assert opened.id("frame").text.endswith("predicted +1")


def test_predictions_of_two_bodies_stand_outside(opened, two_bodies):
    opened.go(two_bodies.name)
    opened.id("to-future").click()
    opened.id("future-beside").click()
    ghosts = opened.script("return document.getElementById('scene').data[5].marker.color")
    joints = len(ghosts) // 2
    assert len(set(ghosts[:joints])) == len(set(ghosts[joints:])) == 1
    assert ghosts[0] != ghosts[-1]
    ways = np.array(opened.script("return window.report.scene.shifts"))
    assert ways[0] @ ways[1] < 0  # away from each other
    text = opened.id("legend").text
    assert "body 1, predicted" in text and "body 2, predicted" in text


def test_a_prediction_is_beside_the_truth_in_every_view(opened, gallery):
    """On the screen it is moved sideways only; over the truth it stands before it."""
    opened.go(next(e.name for e in gallery.exhibits(range(13)) if e.num_bodies == 1))
    opened.id("to-future").click()
    pixels = (
        "const {scene} = window.report; const points = scene.predicted; if (!points) return [];"
        "return [scene.pixels(), scene.pixels(points), scene.pixels(scene.moved(points))]"
        ".map((all) => all.map((at) => at ?? [NaN, NaN]))"
    )

    def placed(beside):
        found = [np.array(each) for each in opened.script(pixels)]
        if not found:
            return False
        true, raw, moved = found
        sideways, down = (moved - raw).T
        apart = np.nanmin(moved[:, 0]) > np.nanmax(true[:, 0])
        return np.nanmax(abs(down)) < 1 and (apart if beside else np.nanmax(abs(sideways)) < 1)

    opened.until(lambda: placed(False))
    assert np.dot(*opened.script("const s = window.report.scene;"
                                 "return [s.shifts[0], Object.values(s.eye)]")) > 0  # fmt: skip
    opened.id("future-beside").click()
    opened.until(lambda: placed(True))
    for view in ("side", "top", "front"):
        opened.all(f"[data-view={view}]")[0].click()
        opened.until(lambda: placed(True))
    before = opened.script("return window.report.scene.shifts[0]")
    scene = opened.id("scene")
    ActionChains(opened.driver).drag_and_drop_by_offset(scene, 120, 0).perform()
    opened.until(lambda: opened.script("return window.report.scene.shifts[0]") != before)
    opened.until(lambda: placed(True))


def joints_on_stage(opened):
    """Names and places of all joints that are seen, in pixels of the window."""
    return opened.script(
        "const {left, top} = document.getElementById('stage').getBoundingClientRect();"
        "return window.report.scene.pixels().map((at, k) => at && "
        "[window.report.scene.clip.jointName(k), left + at[0], top + at[1]]).filter(Boolean)"
    )


def test_a_joint_under_the_pointer_is_named(opened):
    opened.until(lambda: joints_on_stage(opened))
    joints = joints_on_stage(opened)
    name, x, y = next(joint for joint in joints if joint[0].startswith("head"))
    actions = ActionBuilder(opened.driver)
    actions.pointer_action.move_to_location(round(x), round(y))
    actions.perform()
    opened.until(lambda: opened.id("hover").is_displayed())
    assert opened.id("hover").text == name
    assert opened.id("hover").rect["y"] >= opened.id("stage").rect["y"]
    actions = ActionBuilder(opened.driver)
    actions.pointer_action.move_to_location(5, 5)
    actions.perform()
    opened.until(lambda: not opened.id("hover").is_displayed())


@pytest.fixture(scope="module")
def trotting(tmp_path_factory):
    """A long body that crosses the ground, seen from the side, and the page of it."""
    layout = SkeletonLayout.from_bones("worm", [(k, k + 1) for k in range(7)])
    pos = np.zeros((60, 8, 3))
    pos[..., 0] = np.arange(8) + np.linspace(0, 50, 60)[:, None]
    pos[..., 1] = 1 + np.sin(np.arange(60)[:, None] + np.arange(8))
    clip = Clip.from_positions("crawl", layout, pos[None])
    return write_view([clip], tmp_path_factory.mktemp("trotting") / "view.html", up="y")


@pytest.mark.parametrize("named", [False, True])
def test_a_moving_body_stays_on_the_stage(driver, trotting, named):
    opened = Report(driver, trotting)
    opened.until(lambda: joints_on_stage(opened))
    if named:
        opened.id("show-names").click()
    stage = opened.id("stage").rect
    room = max((node.rect["width"] for node in opened.all("#names text")), default=0)
    for frame in (0, 29, 59):
        opened.slide("scrub", frame)
        opened.until(lambda at=frame: opened.frame() == at)

        def fits():
            across = [x - stage["x"] for _, x, _ in joints_on_stage(opened)]
            inside = room <= min(across) and max(across) <= stage["width"] - room
            wide = max(across) - min(across) > 0.25 * stage["width"]  # at a sensible size
            return len(across) == 8 and inside and wide

        opened.until(fits)  # when it is painted


@pytest.fixture
def two_bodies(gallery):
    return next(e for e in gallery.exhibits(range(13)) if e.num_bodies == 2)


@pytest.fixture
def width(driver, request):
    """The window, as wide as asked."""
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "mobile": False})
    yield request.param
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def leaders(opened):
    """Lines from names to joints: (N, ends, xy)."""
    keys = [["x1", "y1"], ["x2", "y2"]]
    code = (
        "return [...document.querySelectorAll('#names line')].map((line) => "
        "arguments[0].map((end) => end.map((key) => Number(line.getAttribute(key)))))"
    )
    return np.array(opened.script(code, keys))


def crossing(line, other):
    """Whether two lines cross, not counting those that touch."""

    def side(start, end, point):
        (a, b), (c, d) = end - start, point - start
        return np.sign(round(a * d - b * c, 3))

    return all(side(*p, q[0]) * side(*p, q[1]) < 0 for p, q in ((line, other), (other, line)))


@pytest.mark.parametrize("width", [1400, 400], indirect=True)
def test_the_names_of_each_body_are_on_its_outer_side(driver, width, page, two_bodies):
    opened = Report(driver, page, f"#clip={two_bodies.name}")
    opened.until(lambda: opened.id("viewer").get_attribute("data-clip") == two_bodies.name)
    opened.id("show-names").click()
    seen = two_bodies.mask[:, opened.frame()].sum(axis=1)

    def columns():
        found = [node.get_attribute("text-anchor") for node in opened.all("#names text")]
        return sorted((found.count("end"), found.count("start")))

    opened.until(lambda: columns() == sorted(seen))
    boxes = [(node.text, node.rect) for node in opened.all("#names text")]
    stage = opened.id("stage").rect
    for number, (_, a) in enumerate(boxes):
        assert stage["x"] <= a["x"] and a["x"] + a["width"] <= stage["x"] + stage["width"]
        for _, b in boxes[:number]:
            beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert beside or abs(a["y"] - b["y"]) >= 10.9
    lines = leaders(opened)
    left = lines[:, 0, 0] < lines[:, 0, 0].mean()
    assert lines[left, 1, 0].mean() < lines[~left, 1, 0].mean()  # no body's names at another
    for column in (lines[left], lines[~left]):
        assert not any(crossing(p, q) for k, p in enumerate(column) for q in column[:k])
    opened.id("show-names").click()
    opened.until(lambda: not opened.all("#names text"))
    assert {name[-6:] for name, *_ in joints_on_stage(opened)} == {"body 1", "body 2"}


@pytest.mark.parametrize("width", [1400, 400], indirect=True)
def test_predicted_bodies_keep_clear_of_names_and_controls(driver, width, page, two_bodies):
    opened = Report(driver, page, f"#clip={two_bodies.name}")
    opened.until(lambda: opened.id("viewer").get_attribute("data-clip") == two_bodies.name)
    opened.id("show-names").click()
    controls = ("play", "scrub", "speed", "show-names", "links-controls")
    before = [opened.id(name).rect for name in controls]
    opened.id("to-future").click()
    opened.id("future-beside").click()
    predicted = (
        "const {scene, player} = window.report; const {left} = scene.node.getBoundingClientRect();"
        "const found = scene.pixels(scene.moved(player.clip.prediction(player.frame)));"
        "return found.filter(Boolean).map(([x]) => left + x)"
    )

    def clear():
        names = [node.rect for node in opened.all("#names text")]
        middle = opened.id("stage").rect["x"] + opened.id("stage").rect["width"] / 2
        low = max(box["x"] + box["width"] for box in names if box["x"] < middle)
        high = min(box["x"] for box in names if box["x"] > middle)
        return all(low < x < high for x in opened.script(predicted))

    opened.until(clear)
    ends = opened.id("stage").rect["x"] + leaders(opened)[:, 1, 0]
    far = abs(ends[:, None] - np.array(opened.script(predicted))).min(axis=1)
    assert len(ends) and far.max() < 3  # the lines of names end at predicted joints
    assert opened.id("frame").text.endswith("predicted +1")
    assert [opened.id(name).rect for name in controls] == before


def test_links_are_told_by_body(opened, two_bodies):
    opened.slide("threshold", 0.77)
    opened.go(two_bodies.name)
    assert opened.id("threshold-value").text != "0.77"  # it was set for another clip
    opened.slide("threshold", 0.1)
    opened.until(lambda: " in body 1" in opened.id("links-count").text)
    shares = re.findall(r"(\d+) in body", opened.id("links-count").text)
    assert sum(map(int, shares)) == 10
    assert "none between bodies" in opened.id("key").text


def test_the_strongest_links_are_drawn_first(opened):
    opened.slide("threshold", 0.1)
    for most in (3, 12):
        opened.slide("most", most)
        opened.until(lambda n=most: f"the {n} strongest" in opened.id("links-count").text)
        assert opened.script("return window.report.scene.links.length") == most
    probs = opened.script("return window.report.scene.links.map((link) => link.prob)")
    assert probs == sorted(probs, reverse=True)


def test_the_matrix_has_all_names(opened, gallery):
    opened.id("matrix-panel").find_element("css selector", "summary").click()
    opened.until(lambda: opened.all("#matrix .ytick text"))
    names = [name.replace("_", " ") for name in gallery.restored.model.layouts[0].joints]
    for axis in ("xtick", "ytick"):
        found = [node.get_attribute("textContent") for node in opened.all(f"#matrix .{axis} text")]
        assert found == names
    assert len(opened.all("#strongest li")) == 24
    shares = [float(node.text) for node in opened.all("#strongest .value")]
    assert shares == sorted(shares, reverse=True)
    Select(opened.id("matrix-type")).select_by_visible_text("type 2")
    opened.until(lambda: opened.all("#matrix .main-svg"))


@pytest.mark.parametrize("width", [400], indirect=True)
def test_a_matrix_of_two_bodies_names_each_once(driver, width, tmp_path):
    layout = get_layout("coco17")
    pos = np.asarray(layout.pose) + np.array([[-2, 0], [2, 0]])[:, None, None] + np.zeros((5, 1, 1))
    links = np.random.default_rng(0).uniform(size=(1, 34, 34))
    pair = viz.Exhibit("pair", layout, pos, np.ones((2, 5, 17), dtype=bool), links=links)
    page = viz.Page("pair", "", [viz.Row("pair")], [pair])
    opened = Report(driver, viz.write_page(tmp_path / "page.html", page))
    opened.id("matrix-panel").find_element("css selector", "summary").click()
    opened.until(lambda: opened.all("#matrix .annotation-text"))

    def texts(selector):
        return [node.get_attribute("textContent") for node in opened.all(f"#matrix {selector}")]

    assert sorted(texts(".annotation-text")) == ["body 1", "body 1", "body 2", "body 2"]
    names = [name.replace("_", " ") for name in layout.joints]
    assert texts(".xtick text") == texts(".ytick text") == 2 * names
    assert len(opened.all("#matrix .shapelayer path")) == 2  # a line each way
    scale = opened.all("#matrix-panel .scale")[0].rect
    assert scale["x"] >= 0 and scale["x"] + scale["width"] <= width
    assert opened.complaints() == []


def test_two_runs_are_compared(driver, run_dir, baseline_dir, gallery, tmp_path):
    opened = Report(
        driver, write_report(run_dir, tmp_path / "both.html", other=baseline_dir, clips=5)
    )
    other = open_gallery(baseline_dir)
    first, second = opened.all("#run-buttons button")
    assert (first.text, second.text) == ("tiny", "baseline")
    assert opened.id("links-controls").is_displayed()
    opened.all("#confusion button")[0].click()
    assert not opened.id("clips-count").text.startswith("13 of 13")
    second.click()
    assert opened.id("clips-count").text.startswith("13 of 13")  # the cell was of the first run
    opened.until(lambda: opened.id("viewer").get_attribute("data-run") == "1")
    assert not opened.id("links-controls").is_displayed()
    cells = [cell.text for cell in opened.all("#confusion button")]
    assert sum(map(int, cells)) == 13
    assert len(cells) == len(set(zip(other.labels.tolist(), other.predicted.tolist(), strict=True)))
    only = int(((gallery.labels == gallery.predicted) & (other.labels != other.predicted)).sum())
    Select(opened.id("filter-right")).select_by_visible_text(f"only tiny ({only})")
    assert opened.id("clips-count").text.startswith(f"{only} of 13")
    assert len(opened.all("#classes li")[0].find_elements("css selector", ".track")) == 2
    assert opened.id("confusion-title").text == "Confusion matrix of baseline"
    assert opened.complaints() == []


@pytest.mark.parametrize("width", [1400, 400], indirect=True)
def test_the_table_of_two_runs_fits(driver, width, run_dir, baseline_dir, gallery, tmp_path):
    other = open_gallery(baseline_dir)
    opened = Report(
        driver, write_report(run_dir, tmp_path / "both.html", other=baseline_dir, clips=2)
    )
    table = opened.all("#clips-panel .scroll")[0]
    assert opened.script("return arguments[0].scrollWidth - arguments[0].clientWidth", table) <= 0
    # Where a run is right, the action is not said again.
    for row, label in zip(opened.all("#clips-body tr"), gallery.labels.tolist(), strict=False):
        place = gallery.names.index(row.find_element("css selector", "td").text)
        cells = [cell.text for cell in row.find_elements("css selector", "td")][1:]
        assert cells[0] == gallery.class_names[label]
        for text, run in zip(cells[1:], (gallery, other), strict=True):
            right = run.predicted[place] == label
            name = gallery.class_names[run.predicted[place]]
            assert re.fullmatch(r"✓\s\d+\s%" if right else rf"✗ {name} \d+\s%", text)


def test_on_a_phone_the_viewer_comes_first(driver, page):
    size = {"width": 400, "height": 850, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened = Report(driver, page)
        tops = {name: opened.id(name).rect["y"] for name in
                ("viewer", "confusion-panel", "clips-panel", "curves-panel")}  # fmt: skip
        assert min(tops, key=tops.get) == "viewer" and tops["viewer"] < 400
        # The page itself does not scroll sideways; its tables do, and say so.
        assert opened.script("return document.documentElement.scrollWidth") <= 400
        for card in opened.all("#cards > div"):
            assert card.rect["x"] + card.rect["width"] <= 400
        assert max(row.rect["height"] for row in opened.all("#clips-body tr")) < 90
        assert not opened.all("#clips-panel .hint")[0].is_displayed()
        opened.until(opened.all("#confusion-panel .hint")[0].is_displayed)
        table = opened.all("#confusion-panel .scroll")[0]
        opened.script("arguments[0].scrollLeft = 500", table)
        assert opened.script("return arguments[0].scrollLeft", table) > 0
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_cell_of_the_confusion_matrix_opens_its_clips(opened, gallery):
    cells = opened.all("#confusion button")
    pairs = list(zip(gallery.labels.tolist(), gallery.predicted.tolist(), strict=True))
    assert len(cells) == len(set(pairs))
    cell = cells[0]  # of the carried ones
    pair = (int(cell.get_attribute("data-row")), int(cell.get_attribute("data-column")))
    cell.click()
    behind = [name for name, own in zip(gallery.names, pairs, strict=True) if own == pair]
    assert cell.get_attribute("aria-pressed") == "true"
    assert [row.text.split()[0] for row in opened.all("#clips-body tr")] == behind
    assert f"{len(behind)} of 13 clips" in opened.id("clips-count").text
    opened.until(lambda: opened.id("viewer").get_attribute("data-clip") in behind)
    cell.click()
    assert opened.id("clips-count").text.startswith("13 of 13 clips, 11 of them")


def test_filters_and_sorting(opened, gallery):
    opened.id("filter-wrong").click()
    wrong = int((gallery.labels != gallery.predicted).sum())
    assert opened.id("clips-count").text.startswith(f"{wrong} of 13")
    opened.id("filter-reset").click()
    Select(opened.id("filter-label")).select_by_visible_text("wave")
    assert opened.id("clips-count").text.startswith("1 of 13")
    opened.id("filter-reset").click()
    opened.id("filter-name").send_keys("nothing is named so")
    assert opened.id("clips-count").text == "0 of 13 clips: Show all lifts the filters"
    opened.id("filter-reset").click()
    opened.id("filter-name").send_keys(gallery.names[4][-4:])
    assert opened.id("clips-count").text.startswith("1 of 13")
    opened.id("filter-reset").click()
    head = opened.all("#clips-head th")[3]
    for direction in ("ascending", "descending"):
        head.find_element("css selector", "button").click()
        assert head.get_attribute("aria-sort") == direction
        shares = [float(row.text.split()[0]) for row in opened.all("#clips-body td:nth-child(4)")]
        assert shares == sorted(shares, reverse=direction == "descending")
    opened.id("page-next").click()
    assert opened.id("page-number").text == "page 2 of 2"
    assert len(opened.all("#clips-body tr")) == 1


def test_the_scene_by_keyboard(opened):
    def eye():
        return opened.script("return {...window.report.scene.eye}")

    def settled(change):
        before = eye()
        change()
        opened.until(lambda: eye() != before)
        return before, eye()

    before, after = settled(lambda: opened.press("scene", Keys.ARROW_RIGHT))
    assert np.hypot(after["x"], after["y"]) == pytest.approx(np.hypot(before["x"], before["y"]))
    before, after = settled(lambda: opened.press("scene", Keys.ARROW_UP))
    assert after["z"] > before["z"]
    before = joints_on_stage(opened)
    opened.press("scene", "+")
    spread = lambda joints: np.ptp([y for _, _, y in joints])  # noqa: E731
    opened.until(lambda: spread(joints_on_stage(opened)) > 1.1 * spread(before))
    settled(lambda: opened.press("scene", Keys.HOME))
    opened.press("scene", ".")
    opened.until(lambda: opened.frame() == 1)
    opened.press("scene", ",")
    opened.until(lambda: opened.frame() == 0)
    Select(opened.id("speed")).select_by_value("0.25")  # so that a busy machine sees it
    opened.press("scene", Keys.SPACE)
    opened.until(lambda: opened.frame() > 1)
    opened.press("scene", Keys.SPACE)
    assert opened.id("play").text == "Play"
    opened.id("scrub").send_keys(Keys.END)
    opened.until(lambda: opened.frame() == int(opened.id("scrub").get_attribute("max")))


def test_everything_is_reached_by_the_tab_key(opened):
    opened.script("document.activeElement.blur()")
    reached = []
    for _ in range(120):
        opened.driver.switch_to.active_element.send_keys(Keys.TAB)
        node = opened.script("return document.activeElement.id || document.activeElement.className")
        reached.append(node)
        if node == "links-controls" or "threshold" in reached:
            break
    assert {"filter-name", "page-next", "clip-next", "scene", "play", "scrub", "threshold"} <= set(
        reached
    )


def test_raw_clips_without_a_model(driver, gallery, tmp_path):

    clips = [gallery.test.read(number) for number in range(2)]
    opened = Report(driver, write_view(clips, tmp_path / "view.html"))
    shown = [node.text for node in opened.all("main h2") if node.is_displayed()]
    assert shown == ["Clips", clips[0].name, "How this was made"]
    for name in ("links-controls", "confusion-panel", "probabilities-panel", "filter-wrong"):
        assert not opened.id(name).is_displayed()
    assert opened.points(1) > 0
    assert opened.complaints() == []


def test_planar_clips_are_drawn_flat(driver, tmp_path):
    """From straight ahead, without a floor; the page says which joints its first frame lacks."""
    layout = get_layout("coco17")
    pos = np.asarray(layout.pose)[None, None] + np.zeros((1, 9, 1, 1))
    pos[0, 0, :2] = pos[0, 1, :3] = np.nan
    clip = Clip.from_positions("flat", layout, pos)
    opened = Report(driver, write_view([clip], tmp_path / "view.html"))
    assert opened.frame() == 0
    assert opened.id("unseen").text == "nose and left eye not seen in this frame"
    shown = [node.text for node in opened.all("[data-view]") if node.is_displayed()]
    assert shown == ["Reset view"]
    assert opened.points(0) == 0  # no floor
    opened.press("scene", Keys.ARROW_RIGHT)
    eye, scale = opened.script("const { eye, scale } = window.report.scene; return [eye, scale]")
    assert (eye["x"], eye["z"]) == pytest.approx((0, 0)) and eye["y"] < 0
    opened.press("scene", "+")
    opened.until(lambda: opened.script("return window.report.scene.scale") > scale)
    opened.id("front").click()
    opened.until(lambda: opened.script("return window.report.scene.scale") == scale)
    middle = ScrollOrigin.from_element(opened.id("scene"))
    high = [y for _, _, y in joints_on_stage(opened)]
    ActionChains(driver).scroll_from_origin(middle, 0, -1).perform()
    assert opened.script("return window.report.scene.scale") == scale  # not without the focus
    drag = ActionChains(driver).drag_and_drop_by_offset
    before = np.array([at for _, *at in joints_on_stage(opened)])
    drag(opened.id("scene"), 60, -20).perform()

    def moved():
        way = np.array([at for _, *at in joints_on_stage(opened)]) - before
        return np.allclose(way, [60, -20], atol=1)

    opened.until(moved)
    ActionChains(driver).scroll_from_origin(middle, 0, -100).perform()
    opened.until(lambda: np.ptp([y for _, _, y in joints_on_stage(opened)]) > 1.05 * np.ptp(high))
    opened.slide("scrub", 2)
    opened.until(lambda: not opened.id("unseen").text and len(joints_on_stage(opened)) == 17)
    _, x, y = np.array(joints_on_stage(opened)).T
    places = np.column_stack([x.astype(float), -y.astype(float)])
    scale = np.ptp(places, axis=0) / np.ptp(layout.pose, axis=0)
    assert scale[0] == pytest.approx(scale[1], rel=1e-3)
    opened.slide("scrub", 1)
    opened.until(lambda: opened.id("unseen").text == "3 joints not seen in this frame")
    assert opened.complaints() == []


def test_the_viewer_is_whole(driver, page):
    opened = Report(driver, page)
    viewer, column = opened.id("viewer"), opened.all(".beside")[0]
    heights = "return [arguments[0].scrollHeight, arguments[0].clientHeight]"
    inner, outer = opened.script(heights, viewer)
    assert inner <= outer  # nothing in it scrolls
    room = opened.script("return innerHeight")

    def stays():
        return "stays" in column.get_attribute("class")

    opened.until(lambda: stays() == (column.rect["height"] + 32 <= room))
    gap = abs(opened.all(".left")[0].rect["height"] - column.rect["height"])
    assert stays() or gap < 1.5 * opened.id("classes-panel").rect["height"]  # no large empty room


def test_a_stage_of_another_size_is_fitted_again(driver, page):
    opened = Report(driver, page)
    scale = "return window.report.scene.scale"
    before = opened.script(scale)
    opened.script("document.getElementById('scene').style.width = '150px'")
    opened.until(lambda: opened.script(scale) < 0.9 * before)


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The accessibility checker's script, installed for this test only."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine to install axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "install", "--no-save", "--silent", "--prefix", str(folder), "axe-core@4"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=240, cwd=folder)
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not get axe-core here in time")
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if done.returncode or not script.is_file():
        pytest.skip("npm does not get axe-core here")
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(driver, page, axe, scheme):
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    opened = Report(driver, page)
    opened.id("matrix-panel").find_element("css selector", "summary").click()
    opened.until(lambda: opened.all("#matrix .main-svg"))
    opened.script(axe)
    code = (
        "const done = arguments[0];"
        "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations.map("
        "v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; '))))"
    )
    violations = driver.execute_async_script(code)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert violations == []
