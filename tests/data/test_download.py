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


class Mirror(HTTPServer):
    """Serves `answers`: path -> (status, body, bytes of it to send); counts what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def serve(self, base, **changed):
        """Answer for all four files below `base`; `changed` replaces the first one's answer."""
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
    """Let the four files be small ones; the checks stay."""
    monkeypatch.setattr(download, "FILES", {
        name: Content(len(body), hashlib.sha256(body).hexdigest())
        for name, body in BODIES.items()})


def held(folder):
    """Return the uncompressed content of each file in `folder`, hidden files too."""
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()}


# ---- what works

def test_all_four_files_arrive_with_a_line_of_progress_each(mirror, small_files, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert mnist.main(["--download", str(folder), "--mirror", mirror.serve("a")]) == 0
    assert held(folder) == BODIES
    out, err = capsys.readouterr()
    assert err == ""
    for name in BODIES:
        assert f"{name}: fetching from {mirror.url}/a\n{name}: " in out
    assert out.count("SHA-256 right, saved") == 4


def test_files_that_are_right_are_kept_and_not_asked_for(mirror, small_files, tmp_path, capsys):
    base = mirror.serve("a")
    download_mnist(tmp_path, [base], report=lambda line: None)
    mirror.asked.clear()
    download_mnist(tmp_path, [base])
    assert mirror.asked == []
    assert capsys.readouterr().out.count("already there, SHA-256 right, kept") == 4


def idx(kind, *shape, content):
    """An IDX file of items of this kind."""
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


PICTURES = idx(8, 2, 28, 28, content=bytes(2 * 784))
DAMAGED = {
    "half a page": (b"<html>", "unpacked it has 6 instead of 26,000 bytes"),
    "empty": (b"", "unpacked it has 0 instead of"),
    "half a gzip stream": (gzip.compress(BODIES[FIRST])[:-9], "truncated, its gzip stream ends"),
    "a wrong checksum": (gzip.compress(PICTURES)[:-8] + bytes(8), "damaged gzip file (CRC check"),
    "another gzip method": (b"\x1f\x8b\0" + bytes(20), "damaged gzip file"),
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
def test_a_damaged_file_is_replaced_and_that_is_said(mirror, small_files, tmp_path, content, fault):
    (tmp_path / FIRST).write_bytes(content)
    lines = []
    download_mnist(tmp_path, [mirror.serve("a") + "/"], lines.append)
    assert held(tmp_path) == BODIES
    assert lines[0].startswith(f"{FIRST}: there, but {fault}")
    assert lines[0].endswith("; fetching it anew")


@pytest.mark.parametrize("name", [FIRST, list(BODIES)[-1]])
@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_a_whole_file_of_another_set_stays_and_nothing_is_fetched(mirror, small_files, tmp_path,
                                                                  content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(data.DataError) as caught:
        download_mnist(tmp_path, [mirror.serve("a")], report=lambda line: None)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and "\n" not in message
    assert message.endswith("a whole file of another data set; it stays as it is, and nothing was "
                            "fetched; choose another directory")
    assert mirror.asked == [] and list(tmp_path.iterdir()) == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == content


def test_what_is_no_ordinary_file_stays(mirror, small_files, tmp_path):
    (tmp_path / FIRST).mkdir()
    with pytest.raises(data.DataError, match="no ordinary file; choose another directory"):
        download_mnist(tmp_path, [mirror.serve("a")], report=lambda line: None)
    assert mirror.asked == [] and (tmp_path / FIRST).is_dir()


def test_a_new_file_can_be_read_by_whom_the_umask_lets(mirror, small_files, tmp_path):
    download_mnist(tmp_path, [mirror.serve("a")], report=lambda line: None)
    (tmp_path / "other").touch()
    assert (tmp_path / FIRST).stat().st_mode == (tmp_path / "other").stat().st_mode


# ---- what a mirror may do wrong

WRONG_ANSWERS = {
    "not there": ({"status": 404}, "HTTP status 404"),
    "out of order": ({"status": 500}, "HTTP status 500"),
    "cut off": ({"sent": 40}, ""),                            # the reason differs with Python
    "truncated": ({"body": gzip.compress(BODIES[FIRST])[:-20]}, "truncated, its gzip stream ends"),
    "a web page": ({"body": b"<html>"}, "unpacked it has 6 instead of 26,000 bytes"),
    "another file": ({"body": gzip.compress(BODIES[FIRST].swapcase())}, "SHA-256 is "),
    "a gzip bomb": ({"body": gzip.compress(bytes(10**7))}, "has more instead of 26,000 bytes"),
    "endless": ({"body": bytes(10**6)}, "more than 91,536 bytes"),
}


@pytest.mark.parametrize("answer, reason", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_after_a_wrong_answer_the_second_mirror_delivers(mirror, small_files, tmp_path, answer,
                                                         reason):
    lines = []
    download_mnist(tmp_path, [mirror.serve("bad", **answer), mirror.serve("good")], lines.append)
    assert held(tmp_path) == BODIES
    assert lines[1].startswith(f"{FIRST}: not from {mirror.url}/bad: ") and reason in lines[1]
    assert mirror.asked[:3] == [f"/bad/{FIRST}", f"/good/{FIRST}", "/bad/" + list(BODIES)[1]]


@pytest.mark.parametrize("answer, reason", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_with_no_other_mirror_it_is_an_error_and_nothing_is_left(mirror, small_files, tmp_path,
                                                                 answer, reason):
    with pytest.raises(data.DataError) as caught:
        download_mnist(tmp_path, [mirror.serve("bad", **answer)], report=lambda line: None)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / FIRST}: no mirror delivered it ({mirror.url}/bad: ")
    assert reason in message and "\n" not in message
    assert message.endswith("check the network, or name another mirror with --mirror URL; if you "
                            "have the four files, use --data-dir DIR")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_into_which_nothing_came_is_taken_away_again(mirror, small_files, tmp_path):
    bad, good = mirror.serve("bad", status=404), mirror.serve("good")
    (tmp_path / "there").mkdir()
    for folder in ("a/b/c", "there/d", "there"):
        with pytest.raises(data.DataError, match="no mirror delivered"):
            download_mnist(tmp_path / folder, [bad], report=lambda line: None)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    download_mnist(tmp_path / "a" / "b", [bad, good], report=lambda line: None)
    assert held(tmp_path / "a" / "b") == BODIES


def test_a_failure_leaves_an_older_file_as_it_was(mirror, small_files, tmp_path):
    (tmp_path / FIRST).write_bytes(b"older")
    with pytest.raises(data.DataError, match="no mirror"):
        download_mnist(tmp_path, [mirror.serve("bad", status=404)], report=lambda line: None)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]


def test_an_interrupt_leaves_nothing_half_written(mirror, small_files, tmp_path, monkeypatch,
                                                  capsys):
    def interrupt(source, target):
        raise KeyboardInterrupt
    monkeypatch.setattr(os, "replace", interrupt)
    assert mnist.main(["--download", str(tmp_path), "--mirror", mirror.serve("a")]) == 130
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.endswith("nothing half-written is left, run it again\n")


def test_a_password_is_refused_and_shown_nowhere(mirror, small_files, tmp_path, capsys):
    for secret in ("me:secret", "secret", "me:sec/ret", "me:secret@secret"):
        address = mirror.serve("a").replace("//", f"//{secret}@")
        for words in (["--mirror", address], [f"--mirro={address}"], ["--mirrors", address]):
            try:
                assert mnist.main(["--download", str(tmp_path), *words]) == 2
            except SystemExit as stop:
                assert stop.code == 2
            out, err = capsys.readouterr()
            assert out == "" and err.count("\n") == 1 and "sec" not in err
            assert "leave out all before the @" in err or "unrecognized arguments" in err
    assert mirror.asked == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words, told", [
    (["--download", "a\0b"], r"directory 'a\x00b': no name of a directory; leave the control"),
    (["--download", "a\nb"], r"directory 'a\nb': no name of a directory"),
    (["--download", "a", "--mirror", "http://127.0.0.1:1/\nb"], "leave out spaces and control"),
    (["--download", "a", "--mirror", "http://127.0.0.1:1/\0"], "leave out spaces and control"),
    (["--download", "a", "--mirror", "http://127.0.0.1:1/ b"], "leave out spaces and control")])
def test_names_with_control_characters_are_refused_in_one_line(capsys, tmp_path, monkeypatch, words,
                                                               told):
    monkeypatch.chdir(tmp_path)
    assert mnist.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and told in err
    assert list(tmp_path.iterdir()) == []


# ---- the command line, as a user runs it


def test_a_program_that_calls_main_keeps_its_own_arguments(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["kernel", "--download", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as stop:
        mnist.main()
    assert stop.value.code == 2 and "required: --download" in capsys.readouterr().err


def test_a_reader_who_goes_ends_the_command_without_a_word(mirror, tmp_path):
    """Its output is a pipe that nobody reads any more, when the first line is written."""
    source, end = os.pipe()
    os.close(source)
    (tmp_path / FIRST).touch()
    done = subprocess.run([sys.executable, "-m", "data.mnist", "--download", str(tmp_path)],
                          stdout=end, stderr=subprocess.PIPE, text=True,
                          cwd=Path(data.__file__).parents[1])
    os.close(end)
    assert (done.returncode, done.stderr) == (1, "")


def run(*arguments):
    root = str(Path(data.__file__).parents[1])
    return subprocess.run([sys.executable, "-W", "error", "-m", "data.mnist", *arguments],
                          capture_output=True, text=True, cwd=root, timeout=60)


def assert_one_line(done, *parts):
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("python -m data.mnist: ") and done.stderr.count("\n") == 1
    assert all(part in done.stderr for part in parts), done.stderr


def test_help_names_both_options():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--download DIR" in done.stdout and "--mirror URL" in done.stdout


def test_files_that_are_not_mnist_are_refused_in_one_line(mirror, tmp_path):
    done = run("--download", str(tmp_path), "--mirror", mirror.serve("a"))
    assert_one_line(done, "has 26,000 instead of 47,040,016 bytes", "--mirror URL")
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_nobody_runs_is_one_line(tmp_path):
    done = run("--download", str(tmp_path), "--mirror", "http://127.0.0.1:1")
    assert_one_line(done, "http://127.0.0.1:1: ", "check the network")


@pytest.mark.parametrize("arguments, remedy", [
    ([], "required: --download; --help lists the options"),
    (["--download"], "expected one argument; --help lists the options"),
    (["--upload", "x"], "--help lists the options"),
    (["--download", "{}", "--mirror", "mirror.example"], "begin it with https://"),
    (["--download", "{}", "--mirror", "file:///etc"], "begin it with https://"),
    (["--download", "{}", "--mirror", "http://[1"], "check the network, or name another mirror"),
    (["--download", "{}/file"], "File exists; choose a directory that can be written"),
    (["--download", "{}/file/folder"], "Not a directory; choose a directory that can be written"),
])
def test_bad_arguments_are_one_line(tmp_path, arguments, remedy):
    (tmp_path / "file").touch()
    assert_one_line(run(*(argument.format(tmp_path) for argument in arguments)), remedy)


# ---- the real files, where there are any

@pytest.mark.skipif(not Path(os.getenv("MNIST_DIR", ""), FIRST).is_file(),
                    reason="MNIST_DIR names no full set")
@pytest.mark.parametrize("name", download.FILES)
def test_the_checksums_are_those_of_the_set_in_mnist_dir(mirror, tmp_path, name, monkeypatch):
    body = Path(os.environ["MNIST_DIR"], name).read_bytes()
    mirror.answers[f"/{name}"] = 200, body, len(body)
    monkeypatch.setattr(download, "FILES", {name: download.FILES[name]})
    download_mnist(tmp_path, [mirror.url], report=lambda line: None)
    assert (tmp_path / name).read_bytes() == body
