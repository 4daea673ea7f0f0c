"""The page in a real browser: signed in, booked, found, watched from a clicked moment."""

from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.api_rig import copying_of
from tests.api_server import serving
from tests.archive_rig import WINDOW, Archive, cut
from tests.catalogue_facts import span
from tests.doubles import ManualClock

CHROMIUM = which("chromium") or ""
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
PLAYED = """() => { const v = document.getElementById("video");
  return { at: v.currentTime, frames: v.getVideoPlaybackQuality().totalVideoFrames, error: v.error } }"""

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path / "home", ManualClock(WINDOW.end))
    archive.custody.store_certificate()
    yield archive
    archive.close()


@pytest.fixture
def page(archive: Archive) -> Iterator[Page]:
    """Signed in by the form, in Chinese; a script error or a refused resource fails the test."""
    wrong: list[str] = []
    with serving(archive) as (address, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(locale="zh-CN", base_url=address).new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto("/")
        page.get_by_label("访问令牌").fill(token)
        page.get_by_role("button", name="登录").click()
        page.wait_for_url("**/")
        yield page
        browser.close()
    assert wrong == []


@pytest.mark.parametrize("name", ["h264_aac.mp4", "h264_mulaw.mov"])
def test_a_recording_is_watched_from_a_clicked_moment(archive: Archive, page: Page, tmp_path: Path, name: str) -> None:
    """A click at half of the bar plays from there: time goes on and frames are decoded, with AAC and with G.711."""
    capture = archive.book(span(0, 4))
    archive.deposit(cut(tmp_path, archive.sources(capture)[0], name))
    page.goto(f"/captures/{capture}")
    bar = page.locator("svg[data-seek]")
    box: Any = bar.bounding_box()
    bar.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.wait_for_function(f"() => {{ const now = ({PLAYED})(); return now.at > 0.5 && now.frames > 4 }}")
    assert page.evaluate(PLAYED)["error"] is None
    assert "09:00:0" in page.locator("#wall").inner_text()


def test_h265_is_watched_as_a_copy_that_says_so(archive: Archive, page: Page, tmp_path: Path) -> None:
    """Found, and asked for: until the copy is made the page says so; then it plays by itself, and is called a copy."""
    capture = archive.book(span(0, 4))
    source = archive.sources(capture)[0]
    archive.deposit(cut(tmp_path, source, "h265_aac.mp4"))
    archive.finish(capture)
    page.goto("/find")
    page.get_by_role("button", name="查找").click()
    page.get_by_role("heading", name="视频会议系统采购").get_by_role("link").click()
    page.get_by_role("link", name="播放").click()
    assert "兼容副本正在准备中" in page.get_by_role("status").inner_text()
    assert page.get_by_role("progressbar").is_visible()
    page.screenshot(path=str(tmp_path / "making.png"), full_page=True)
    copying_of(archive, archive.home).make(capture, source, lambda done, total=None: None)
    page.locator("#video").wait_for()
    page.wait_for_function(f"() => {{ const now = ({PLAYED})(); return now.at > 0.5 && now.frames > 4 }}")
    assert page.evaluate(PLAYED)["error"] is None
    assert page.get_by_text("浏览器兼容副本,不是封存的原始文件").is_visible()
    page.screenshot(path=str(tmp_path / "copy.png"), full_page=True)


def test_a_window_is_booked_and_found(archive: Archive, page: Page) -> None:
    """With the names that a person sees, no ids; a wrong end is said in Chinese beside its field."""
    archive.book(span(0, 4))
    page.get_by_role("link", name="预约录制").first.click()
    page.get_by_label("结束时间").fill("2026-11-23T08:00:00")
    page.get_by_role("button", name="预约").click()
    assert page.locator("#why-end").inner_text() == "必须晚于开始时间"
    page.get_by_label("结束时间").fill("2026-11-23T12:00:00")
    page.get_by_label("标题").fill("公开开标会")
    page.get_by_role("button", name="预约").click()
    assert page.get_by_role("status").inner_text() == "已预约。到时会自动录制。"
    page.get_by_role("link", name="查找").click()
    page.get_by_label("关键词").fill("开标会")
    page.get_by_role("button", name="查找").click()
    assert page.get_by_role("heading", name="公开开标会").count() == 1
