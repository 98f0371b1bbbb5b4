"""The pages that play a protocol: their numbers are those of a simulation, and a party
is shown exactly the view of `mpc.audit`.
"""

import inspect
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mpc.audit.replay import RecordedWorld
from mpc.course import pictures, play
from mpc.ring import Bits

CHROMIUM = shutil.which("chromium")
each_lesson = pytest.mark.parametrize("name", play.LESSONS)
# The lines of SecureNN's algorithms that its messages come from.
LINES = {"share_convert/a_tilde": "2, 3", "share_convert/x_bits": "5, 6",
         "share_convert/delta": "5, 6", "private_compare/d": "14",
         "share_convert/eta_1": "8", "compute_msb/x_bits": "2",
         "compute_msb/x_lsb": "2", "compute_msb/r": "3, 4", "compute_msb/beta_1": "6"}
ALGORITHMS = {"private_compare": 3, "share_convert": 4, "compute_msb": 5}


class Taped(play.Recorder, RecordedWorld):
    """The lesson's World, which also keeps each message as it is sent."""


def stored(name):
    """The data in the page of a lesson."""
    text = re.search(r'type="application/json" id="data">(.*?)</script>',
                     play.page(name), re.S)[1]
    return json.loads(text)


def seen(data, role):
    """What the page shows to `role`: coins and messages to it, in order."""
    return [(e["label"], e["numbers"]) for e in data["events"] if role in e["holders"]
            and (e["kind"] == "coin" or e["kind"] == "message" and e["dst"] == role)]


def as_text(array, ring):
    """The numbers that the page should show of an array, by another way."""
    whole = np.atleast_1d(array)
    rows = whole.reshape(int(np.prod(whole.shape[:-1])), whole.shape[-1])
    form = "{:08b}" if isinstance(ring, Bits) else "{}"
    return [[form.format(int(v)) for v in row[:play.COLUMNS]]
            for row in rows[:play.ROWS]]


# ------------------------------------------------------------------ the numbers


@each_lesson
def test_every_message_is_that_of_the_ledger_and_of_the_simulation(name):
    world, data = play.record(name, Taped), stored(name)
    shown = [e for e in data["events"] if e["kind"] == "message"]
    assert [e["step"] for e in shown] == [*range(1, len(shown) + 1)]
    for event, line, parcel in zip(shown, world.ledger.messages, world.tape,
                                   strict=True):
        assert {k: event[k] for k in line._fields} == line._asdict() | {
            "shape": [*line.shape]}
        assert (parcel.src, parcel.dst) == (line.src, line.dst)
        ring, = {ring for own, array, ring in world.seen[line.dst]
                 if own == event["label"] and str(ring) == line.ring}
        array = ring.unpack(parcel.payload, line.shape)
        assert event["numbers"] == as_text(array, ring)


@each_lesson
def test_a_party_is_shown_exactly_the_view_that_the_audit_records(name):
    world, data = play.record(name), stored(name)
    assert set(data["parties"]) <= set(world.roles)
    for role in world.roles:
        due = [(label, as_text(array, ring)) for label, array, ring in world.seen[role]]
        assert seen(data, role) == due
        inputs = [e for e in data["events"] if e["kind"] in ("input", "result")
                  and role in e["holders"]]
        assert all(e["holders"] == [role] for e in inputs)


@pytest.mark.parametrize("name, role, due", [
    ("relu", "alice", [["5", "0", "20"]]), ("multiply", "alice", [["42", "-27", "-20"]])
])
def test_the_result_is_revealed_to_its_owner_alone(name, role, due):
    *_, last = stored(name)["events"]
    assert (last["kind"], last["holders"], last["numbers"]) == ("result", [role], due)


def test_the_provider_learns_x_larger_than_r_under_its_flip():
    events = {e["label"]: e["numbers"] for e in stored("private_compare")["events"]}
    x, r, beta, got = (np.array(events[k], int)
                       for k in ("input", "r", "beta", "result"))
    assert np.array_equal(got, beta ^ (x > r)) and 0 < got.sum() < 3


def test_the_batch_ends_with_the_loss_of_float_training():
    x, y = np.array([[0.5, -1], [1.5, 0.25]]), np.array([[1], [0]])
    w_1, b_1, w_2, b_2 = map(np.array, play.WEIGHTS)
    loss = np.mean((np.maximum(x @ w_1 + b_1, 0) @ w_2 + b_2 - y) ** 2)
    *_, last = stored("batch")["events"]
    assert last["holders"] == ["server"]
    assert abs(float(last["numbers"][0][0]) - loss) < 0.01


@pytest.mark.parametrize("words, status", [("--help", 0), ("-h relu", 0), ("", 2)])
def test_the_command_names_its_lessons(capsys, words, status):
    assert play.main(words.split()) == status
    out, err = capsys.readouterr()
    assert ", ".join(play.LESSONS) in (err if status else out)


# ------------------------------------------------------------------ where it is said


@each_lesson
def test_a_message_names_the_contract_of_its_protocol_and_the_line_of_the_paper(name):
    protocols = {code.co_name: (contract.source, inspect.getsource(code))
                 for code, contract in play.contracts().items()}
    lesson = "the program of this page", inspect.getsource(play.LESSONS[name][0])
    for event in stored(name)["events"]:
        if event["kind"] != "message":
            continue
        own = event["path"].rpartition("/")[2]
        source, code = protocols.get(own, lesson)
        assert event["source"] == source
        for line in event["code"].splitlines():
            assert line.strip() in code
        due = next((line for end, line in LINES.items()
                    if f"/{event['label']}".endswith(f"/{end}")), "")
        assert event["line"] == due
        if own in ALGORITHMS:
            assert f"SecureNN, algorithm {ALGORITHMS[own]}" in event["source"]


def test_every_message_has_a_note_and_every_note_a_message():
    labels = {e["label"] for name in play.LESSONS for e in stored(name)["events"]
              if e["kind"] == "message"}
    assert all(pictures.note_on(label, play.NOTES) for label in labels)
    used = {pictures.note_on(label, play.NOTES) for label in labels}
    own = set(play.NOTES.values()) - set(pictures.RELU_NOTES.values())
    assert own - set(pictures.CARRY_TREE_NOTES.values()) <= used


# ------------------------------------------------------------------ the file


@each_lesson
def test_the_page_is_one_file_that_loads_nothing(name):
    text = play.page(name)
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|//[a-z]|\bsrc=|<link|@import|url\(", text)
    assert play.page(name) == text          # the same masks in every build


def test_a_link_back_stands_in_the_page_only_if_asked_for():
    link = '<p><a href="index.html">All players</a></p>'
    assert link in play.page("multiply", link)
    assert "href" not in play.page("multiply")


@pytest.mark.parametrize("words", [["sigmoid"], [], ["relu", "relu"], ["<b>\n"]])
def test_an_unknown_name_takes_one_line_and_status_2(words):
    done = subprocess.run([sys.executable, "-m", "mpc.course.play", *words],
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    line, = done.stderr.splitlines()
    assert line.startswith("play: ") and line.endswith(
        "relu, private_compare, multiply, batch")


def test_a_notebook_shows_the_page_and_a_viewer_without_html_the_chart():
    pytest.importorskip("matplotlib")
    shown = play.show("multiply")
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    frame = bundle["text/html"]
    assert frame.index("<img alt=") < frame.index("<iframe title=")
    assert bundle["image/png"] in frame and bundle["image/png"].startswith("iVBOR")
    assert "&lt;!doctype html&gt;" in frame and "\n<script" not in frame


# ------------------------------------------------------------------ in a browser


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra `docs`")
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    with api.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens the page of a lesson; any error or request fails."""
    def open_page(name, width=1280, **options):
        tmp_path.joinpath("page.html").write_text(play.page(name), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(error))
        page.on("request", lambda request: trouble.append(request.url))
        page.goto(tmp_path.joinpath("page.html").as_uri())
        trouble.remove(page.url)
        return page

    trouble = []
    yield open_page
    assert not trouble


VIEW = """() => [...document.querySelectorAll("#view > tr")].map(row =>
    [...row.querySelectorAll(".numbers tr")].map(line =>
        [...line.cells].map(cell => cell.textContent))).reverse()"""
SAID = '() => document.querySelector("#live").textContent'


PLAY = f"""ids => ids.map(id => {{
    document.querySelector(id).click();
    return [...["#count", "#live", "#message"].map(
        part => document.querySelector(part).textContent), ({VIEW})(),
        document.querySelectorAll(".row[aria-current=step]").length];
}})"""


@pytest.mark.parametrize("name", ["relu", "private_compare", "multiply"])
def test_every_step_forward_and_back_shows_the_ledger_and_hides_from_others(
        opened, name):
    page, data, messages = opened(name), stored(name), play.record(name).ledger.messages
    role, n = data["parties"][-1], len(messages)
    page.get_by_label(role, exact=True).check()
    buttons = ["#next"] * (n - 1) + ["#back"] * n       # once too often
    steps = [*range(2, n + 1), *range(n - 1, 0, -1), 1]
    for step, shown in zip(steps, page.evaluate(PLAY, buttons), strict=True):
        count, said, text, view, current = shown
        m = messages[step - 1]
        assert count == f"{step} of {n}" and current == 1
        assert said.startswith(f"Message {step} of {n}, round {m.round}: ")
        assert f" sends {m.name} to {m.dst.replace('_', ' ')}, " in said
        assert f"Round {m.round}" in text and f"{m.nbytes:,} byte" in text
        assert ("does not see its numbers" in text) == (role not in (m.src, m.dst))
        assert view == [e["numbers"] for e in data["events"]
                        if e["step"] <= step and role in e["holders"]]


@pytest.mark.parametrize("role", ["alice", "bob", "crypto provider"])
def test_a_party_sees_its_view_and_the_lesson_all_of_them(opened, role):
    page, data, world = opened("relu"), stored("relu"), play.record("relu")
    page.get_by_label(role, exact=True).check()
    page.focus("#back")
    page.keyboard.press("End")
    name = role.replace(" ", "_")
    extra = [e["numbers"] for e in data["events"] if name in e["holders"] and
             (e["kind"] in ("input", "result") or e.get("src") == name)]
    due = sorted([as_text(array, ring) for _, array, ring in world.seen[name]] + extra)
    assert sorted(page.evaluate(VIEW)) == due
    page.get_by_label("all parties (for the lesson only)").check()
    assert len(page.evaluate(VIEW)) == len(data["events"])


def test_the_keyboard_alone_plays_the_page_and_each_step_is_announced(opened):
    page = opened("multiply")
    for key, due in [("ArrowRight", 2), ("End", 6), ("ArrowLeft", 5), ("Home", 1)]:
        page.keyboard.press(key)
        assert page.text_content("#count") == f"{due} of 6"
        assert page.evaluate(SAID).startswith(f"Message {due} of 6, round ")
    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || "
                                   "document.activeElement.type"))
    assert order == ["radio", "back", "next", "slider", "button"]
    page.keyboard.press("ArrowDown")        # in the list of messages
    assert page.text_content("#count") == "2 of 6"
    assert page.evaluate("document.activeElement.ariaCurrent") == "step"
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#count") == "3 of 6"
    page.get_by_label("alice", exact=True).focus()
    page.keyboard.press("ArrowRight")       # chooses a party, and moves no message
    assert page.text_content("#count") == "3 of 6"
    assert "crypto provider" in page.text_content("#view-title")


def test_without_javascript_a_table_lists_the_messages_and_no_number(opened):
    page = opened("relu", java_script_enabled=False)
    text = page.locator(".plain").inner_text()
    rows = [line.split("\t") for line in text.splitlines()[1:] if line.strip()]
    due = [[f"{m.round}{', offline' * m.offline}", m.src.replace("_", " "),
            m.dst.replace("_", " "), m.name, f"{m.nbytes:,}",
            m.path or "outside of protocols"]
           for m in play.record("relu").ledger.messages]
    assert "in the ring Z_2^8, the numbers from 0 to 255." in " ".join(
        page.locator("body").inner_text().split())
    assert [[cell.strip() for cell in row] for row in rows] == due
    assert not page.locator("main").is_visible()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_texts_have_contrast(opened, width, scheme):
    page = opened("batch", width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("all parties (for the lesson only)").check()
    page.keyboard.press("Tab")
    for _ in range(3):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("ArrowRight")
    assert page.evaluate(CONTRAST) == []


# The texts with a contrast below 4.5 to the nearest background.
CONTRAST = """() => {
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(v => (v /= 255) <= .03928
        ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b + .05;
  };
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour !== "rgba(0, 0, 0, 0)" ? colour : behind(element.parentElement);
  };
  const texts = [...document.querySelectorAll("body *")].filter(e => e.checkVisibility()
      && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return texts.filter(e => {
    const pair = [light(getComputedStyle(e).color), light(behind(e))].sort();
    return pair[1] / pair[0] < 4.5;
  }).map(e => e.outerHTML);
}"""
