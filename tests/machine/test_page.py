"""The sample app's page, in headless Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.machine.conftest import App

pytestmark = [pytest.mark.docker, pytest.mark.browser]
SECONDS = 30


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def row(browser: webdriver.Chrome, index: int) -> str | None:
    # In one script: the page draws its table anew while it waits for numbers.
    script = "return Array.from(document.querySelectorAll('#values tr'), row => [row.querySelector('th').innerText, row.querySelector('td').innerText])"
    return dict(browser.execute_script(script)).get(str(index))


def ask(browser: webdriver.Chrome, text: str) -> None:
    field = browser.find_element(By.ID, "index")
    field.clear()
    field.send_keys(text, Keys.ENTER)


def test_a_visitor_asks_for_a_number_and_sees_it(demo: App, browser: webdriver.Chrome):
    browser.get(demo.url)
    assert browser.title == "Fibonacci"
    ask(browser, "25")
    WebDriverWait(browser, SECONDS).until(lambda page: row(page, 25) == "121393")
    assert browser.find_element(By.ID, "message").text == "Asked for index 25."
    assert browser.find_element(By.ID, "index").get_attribute("value") == ""
    browser.refresh()
    WebDriverWait(browser, SECONDS).until(lambda page: row(page, 25) == "121393")
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_the_form_refuses_what_is_no_index(demo: App, browser: webdriver.Chrome):
    browser.get(demo.url)
    for text in ("-1", "1001", "1.5", ""):
        ask(browser, text)
        assert browser.execute_script("return document.querySelector('#index').validity.valid") is False


def test_a_visitor_is_told_when_the_server_is_away(demo: App, browser: webdriver.Chrome):
    browser.get(demo.url)
    WebDriverWait(browser, SECONDS).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#values tr"))
    demo.compose("stop", "postgres")
    try:
        ask(browser, "26")
        WebDriverWait(browser, SECONDS).until(lambda page: "could not be asked for" in page.find_element(By.ID, "message").text)
        # The page asks for its list every 2 s meanwhile, in vain.
        time.sleep(8)
        assert "could not be asked for" in browser.find_element(By.ID, "message").text
    finally:
        demo.compose("start", "postgres")
    WebDriverWait(browser, SECONDS).until(lambda page: page.find_element(By.ID, "message").text == "")
