"""`python -m data.mnist --download`, against a web server on the loopback interface."""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import data
from data import download, mnist
from data.download import Content, download_mnist

BODIES = {name: name.encode() * 1000 for name in download.FILES}
FIRST = "train-images-idx3-ubyte.gz"
ROOT = Path(data.__file__).parents[1]


class Mirror(HTTPServer):
    """Serves `answers`, {path: (status, body, bytes to send)}; logs requested paths."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def serve(self, base, **changed):
        """Serve all four files below `base`; `changed` alters the first answer."""
        for name, body in BODIES.items():
            body = gzip.compress(body)
            self.answers[f"/{base}/{name}"] = 200, body, len(body)
        status, body, sent = self.answers[f"/{base}/{FIRST}"]
        body = changed.get("body", body)
        self.answers[f"/{base}/{FIRST}"] = (
            changed.get("status", status), body, changed.get("sent", len(body)))
        return f"{self.url}/{base}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        status, body, sent = self.server.answers.get(self.path, (404, b"gone", 4))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def small_files(monkeypatch):
    """Replace the four files by small ones; the checks stay."""
    monkeypatch.setattr(download, "FILES", {
        name: Content(len(body), hashlib.sha256(body).hexdigest())
        for name, body in BODIES.items()})


def contents(folder):
    """Return the uncompressed content of each file in `folder`, hidden files too."""
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


def fetch(folder, *mirrors):
    """Download without a report."""
    download_mnist(folder, mirrors, report=lambda line: None)


# ---- downloads


def test_all_four_files_are_fetched_and_reported(mirror, small_files, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert mnist.main(["--download", str(folder), "--mirror", mirror.serve("a")]) == 0
    assert contents(folder) == BODIES
    out, err = capsys.readouterr()
    assert err == ""
    for name in BODIES:
        assert f"{name}: fetching from {mirror.url}/a\n{name}: " in out
    assert out.count("SHA-256 correct, saved") == 4


def test_correct_files_are_kept(mirror, small_files, tmp_path, capsys):
    base = mirror.serve("a")
    fetch(tmp_path, base)
    mirror.asked.clear()
    download_mnist(tmp_path, [base])
    assert mirror.asked == []
    assert capsys.readouterr().out.count("already there, SHA-256 correct, kept") == 4


def idx(kind, *shape, content):
    """An IDX file with items of this type."""
    return struct.pack(f">4B{len(shape)}I", 0, 0, kind, len(shape), *shape) + content


PICTURES = idx(8, 2, 28, 28, content=bytes(2 * 784))
PACKED = gzip.compress(BODIES[FIRST])
DAMAGED = {
    "half a page": (b"<html>", "unpacked it has 6 instead of 26,000 bytes"),
    "empty": (b"", "unpacked it has 0 instead of"),
    "half a gzip stream": (PACKED[:-9], "truncated, its gzip stream ends"),
    "a wrong checksum": (gzip.compress(PICTURES)[:-8] + bytes(8),
                         "damaged gzip file (CRC check"),
    "another gzip method": (b"\x1f\x8b\0" + bytes(20), "damaged gzip file"),
    "a whole gzip stream, then zeros": (PACKED + bytes(10**6), "damaged gzip file (a"),
    "half an IDX file": (PICTURES[:-1], "unpacked it has 1,583 instead of"),
    "half a header": (PICTURES[:10], "unpacked it has 10 instead of"),
    "the right size": (bytes(26_000), "SHA-256 is "),
}
WHOLE = {
    "another set, packed": gzip.compress(PICTURES),
    "another set, unpacked": PICTURES,
    "the right size, packed": gzip.compress(bytes(26_000)),
    "the right size, unpacked": idx(8, 25_992, content=bytes(25_992)),
    "larger pictures": idx(8, 2, 32, 32, content=bytes(2 * 1024)),
    "other numbers": idx(0x0E, 3, content=bytes(24)),
    "a text, packed": gzip.compress(b"not a picture"),
    "more than the right size": gzip.compress(bytes(10**6)),
}


@pytest.mark.parametrize("content, fault", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_replaced(mirror, small_files, tmp_path, content, fault):
    (tmp_path / FIRST).write_bytes(content)
    lines = []
    download_mnist(tmp_path, [mirror.serve("a") + "/"], lines.append)
    assert contents(tmp_path) == BODIES
    assert lines[0].startswith(f"{FIRST}: there, but {fault}")
    assert lines[0].endswith("; fetching it again")


@pytest.mark.parametrize("name", [FIRST, list(BODIES)[-1]])
@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_a_complete_file_of_another_set_is_kept_and_nothing_is_fetched(
        mirror, small_files, tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(data.DataError) as caught:
        fetch(tmp_path, mirror.serve("a"))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and "\n" not in message
    assert message.endswith("a complete file of another data set; it stays as it is, "
                            "and nothing was fetched; choose another directory")
    assert mirror.asked == [] and list(tmp_path.iterdir()) == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == content


def test_a_directory_in_place_of_a_file_is_refused(mirror, small_files, tmp_path):
    (tmp_path / FIRST).mkdir()
    with pytest.raises(data.DataError, match="not an ordinary file; choose another"):
        fetch(tmp_path, mirror.serve("a"))
    assert mirror.asked == [] and (tmp_path / FIRST).is_dir()


def test_a_new_file_has_the_permissions_of_the_umask(mirror, small_files, tmp_path):
    fetch(tmp_path, mirror.serve("a"))
    (tmp_path / "other").touch()
    assert (tmp_path / FIRST).stat().st_mode == (tmp_path / "other").stat().st_mode


# ---- mirrors that fail


WRONG_ANSWERS = {
    "not there": ({"status": 404}, "HTTP status 404"),
    "out of order": ({"status": 500}, "HTTP status 500"),
    "cut off": ({"sent": 40}, ""),              # its reason depends on Python
    "truncated": ({"body": PACKED[:-20]}, "truncated, its gzip stream ends"),
    "a web page": ({"body": b"<html>"}, "unpacked it has 6 instead of 26,000 bytes"),
    "another file": ({"body": gzip.compress(BODIES[FIRST].swapcase())}, "SHA-256 is "),
    "a gzip bomb": ({"body": gzip.compress(bytes(10**7))}, "has more instead of"),
    "endless": ({"body": bytes(10**6)}, "more than 91,536 bytes"),
}


@pytest.mark.parametrize("answer, reason", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_after_a_wrong_answer_the_second_mirror_is_tried(
        mirror, small_files, tmp_path, answer, reason):
    lines, mirrors = [], [mirror.serve("bad", **answer), mirror.serve("good")]
    download_mnist(tmp_path, mirrors, lines.append)
    assert contents(tmp_path) == BODIES
    assert lines[1].startswith(f"{FIRST}: not from {mirror.url}/bad: ")
    assert reason in lines[1]
    second = list(BODIES)[1]
    assert mirror.asked[:3] == [f"/bad/{FIRST}", f"/good/{FIRST}", f"/bad/{second}"]


@pytest.mark.parametrize("answer, reason", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_without_another_mirror_a_wrong_answer_is_an_error(
        mirror, small_files, tmp_path, answer, reason):
    with pytest.raises(data.DataError) as caught:
        fetch(tmp_path, mirror.serve("bad", **answer))
    message = str(caught.value)
    head = f"{tmp_path / FIRST}: no mirror delivered it ({mirror.url}/bad: "
    assert message.startswith(head) and reason in message and "\n" not in message
    assert message.endswith("check the network, or name another mirror with --mirror "
                            "URL; if you have the four files, use --data-dir DIR")
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_that_stays_empty_is_removed(mirror, small_files, tmp_path):
    bad, good = mirror.serve("bad", status=404), mirror.serve("good")
    (tmp_path / "there").mkdir()
    for folder in ("a/b/c", "there/d", "there"):
        with pytest.raises(data.DataError, match="no mirror delivered"):
            fetch(tmp_path / folder, bad)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    fetch(tmp_path / "a" / "b", bad, good)
    assert contents(tmp_path / "a" / "b") == BODIES


def test_a_failed_download_keeps_the_old_file(mirror, small_files, tmp_path):
    (tmp_path / FIRST).write_bytes(b"older")
    with pytest.raises(data.DataError, match="no mirror"):
        fetch(tmp_path, mirror.serve("bad", status=404))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]


def test_the_part_of_a_killed_download_is_removed_and_that_of_a_running_one_is_not(
        mirror, small_files, tmp_path):
    killed, running = (tmp_path / f".{FIRST}.{mark}.part" for mark in "01")
    killed.touch()
    running.touch()
    os.utime(killed, (0, os.stat(running).st_mtime - 2 * download.ABANDONED))
    fetch(tmp_path, mirror.serve("a"))
    assert {path.name for path in tmp_path.iterdir()} == {*BODIES, running.name}


def test_an_interrupt_leaves_no_partial_file(
        mirror, small_files, tmp_path, monkeypatch, capsys):
    def interrupt(source, target):
        raise KeyboardInterrupt
    monkeypatch.setattr(os, "replace", interrupt)
    words = ["--download", str(tmp_path), "--mirror", mirror.serve("a")]
    assert mnist.main(words) == 130
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.endswith("no partial file is left, run it again\n")


def test_a_password_is_refused_and_never_shown(mirror, small_files, tmp_path, capsys):
    for secret in ("me:secret", "secret", "me:sec/ret", "me:secret@secret"):
        address = mirror.serve("a").replace("//", f"//{secret}@")
        for words in (["--mirror", address], [f"--mirro={address}"],
                      ["--mirrors", address]):
            try:
                assert mnist.main(["--download", str(tmp_path), *words]) == 2
            except SystemExit as stop:
                assert stop.code == 2
            out, err = capsys.readouterr()
            assert out == "" and err.count("\n") == 1 and "sec" not in err
            assert "everything before the @" in err or "unrecognized arguments" in err
    assert mirror.asked == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words, told", [
    (["a\0b"], r"directory 'a\x00b': not a name of a directory; leave out control"),
    (["a\nb"], r"directory 'a\nb': not a name of a directory"),
    (["a", "--mirror", "http://127.0.0.1:1/\nb"], "leave out spaces and control"),
    (["a", "--mirror", "http://127.0.0.1:1/\0"], "leave out spaces and control"),
    (["a", "--mirror", "http://127.0.0.1:1/ b"], "leave out spaces and control")])
def test_control_characters_are_refused_in_one_line(
        capsys, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    assert mnist.main(["--download", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and told in err
    assert list(tmp_path.iterdir()) == []


# ---- the command line, as a user runs it


def test_main_without_arguments_ignores_those_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kernel", "--download", "folder"])
    with pytest.raises(SystemExit) as stop:
        mnist.main()
    assert stop.value.code == 2 and "required: --download" in capsys.readouterr().err


def test_a_closed_output_pipe_ends_the_command_silently(tmp_path):
    source, end = os.pipe()
    os.close(source)
    (tmp_path / FIRST).touch()
    done = subprocess.run(
        [sys.executable, "-m", "data.mnist", "--download", str(tmp_path)],
        stdout=end, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(end)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_full_disk_under_the_output_is_not_blamed_on_the_folder(tmp_path):
    (tmp_path / FIRST).touch()
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "data.mnist", "--download", str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (
        2, "python -m data.mnist: output: No space left on device; write it to another "
        "place\n")


@pytest.mark.parametrize("error", [OSError(28, "full"), BrokenPipeError(32, "gone")])
def test_an_error_of_the_report_is_the_callers_own(tmp_path, error):
    def fails(line):
        raise error
    (tmp_path / FIRST).touch()
    with pytest.raises(type(error)) as caught:
        download_mnist(tmp_path, ["http://127.0.0.1:1"], fails)
    assert caught.value is error


def test_ctrl_c_while_numpy_is_imported_takes_one_line(tmp_path):
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run([sys.executable, "-m", "data.mnist"], cwd=ROOT, text=True,
                          capture_output=True, env=os.environ | {
                              "PYTHONPATH": str(tmp_path)})
    assert (done.stdout, done.stderr) == ("", "python -m data.mnist: interrupted\n")
    assert done.returncode != 0


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "data.mnist", *arguments],
        capture_output=True, text=True, cwd=ROOT, timeout=60)


def assert_one_line(done, *parts):
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("python -m data.mnist: ")
    assert done.stderr.count("\n") == 1
    assert all(part in done.stderr for part in parts), done.stderr


def test_help_names_both_options():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--download DIR" in done.stdout and "--mirror URL" in done.stdout


def test_files_that_are_not_mnist_are_refused_in_one_line(mirror, tmp_path):
    done = run("--download", str(tmp_path), "--mirror", mirror.serve("a"))
    assert_one_line(done, "has 26,000 instead of 47,040,016 bytes", "--mirror URL")
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_does_not_answer_is_one_line(tmp_path):
    done = run("--download", str(tmp_path), "--mirror", "http://127.0.0.1:1")
    assert_one_line(done, "http://127.0.0.1:1: ", "check the network")


@pytest.mark.parametrize("arguments, remedy", [
    ([], "required: --download; --help lists the options"),
    (["--download"], "expected one argument; --help lists the options"),
    (["--upload", "x"], "--help lists the options"),
    (["--download", "{}", "--mirror", "mirror.example"], "begin with https://"),
    (["--download", "{}", "--mirror", "file:///etc"], "begin with https://"),
    (["--download", "{}", "--mirror", "http://[1"], "check the network, or"),
    (["--download", "{}/file"], "File exists; choose a directory that can"),
    (["--download", "{}/file/folder"], "Not a directory; choose a directory that can"),
])
def test_bad_arguments_are_one_line(tmp_path, arguments, remedy):
    (tmp_path / "file").touch()
    assert_one_line(run(*(argument.format(tmp_path) for argument in arguments)), remedy)


# ---- the real files, if MNIST_DIR has them


@pytest.mark.skipif(not Path(os.getenv("MNIST_DIR", ""), FIRST).is_file(),
                    reason="MNIST_DIR names no full set")
@pytest.mark.parametrize("name", download.FILES)
def test_the_checksums_match_the_set_in_mnist_dir(mirror, tmp_path, name, monkeypatch):
    body = Path(os.environ["MNIST_DIR"], name).read_bytes()
    mirror.answers[f"/{name}"] = 200, body, len(body)
    monkeypatch.setattr(download, "FILES", {name: download.FILES[name]})
    fetch(tmp_path, mirror.url)
    assert (tmp_path / name).read_bytes() == body
