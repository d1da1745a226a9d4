"""Downloads against a real server on this machine: resumed, checked, and never half a file in place."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from wgan.data.download import fetch
from wgan.errors import UserError

CONTENT = np.random.default_rng(0).bytes(1_500_000)
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@dataclass
class Plan:
    """How the server behaves, and what it saw."""

    drop_after: list[int] = field(default_factory=list)  # bytes sent before each of the first connections is cut
    ranges: bool = True
    status: int = 200
    failures: int = 0  # answers with 503 before it works
    seen: list[str | None] = field(default_factory=list)  # the Range of each request


class Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, plan: Plan, *rest: object) -> None:
        self.plan = plan
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        plan, wanted = self.plan, self.headers.get("Range")
        plan.seen.append(wanted)
        if plan.status != 200 or plan.failures > 0:
            self.send_error(plan.status if plan.status != 200 else 503)
            plan.failures -= 1
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and plan.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if wanted and plan.ranges else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        limit = plan.drop_after.pop(0) if plan.drop_after else len(CONTENT)
        with suppress(ConnectionError):  # a client that cannot write its file hangs up
            self.wfile.write(CONTENT[start : start + limit])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
def url(plan: Plan) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, plan))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/file.bin"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "file.bin"


def get(url: str, target: Path, checksum: str = SHA) -> Path:
    return fetch(url, target, checksum, quiet=True, pause=0.0, timeout=5.0)


def _only(target: Path) -> bool:
    return [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("checksum", [SHA, MD5])
def test_a_file_arrives_whole(url: str, target: Path, plan: Plan, checksum: str) -> None:
    assert get(url, target, checksum) == target
    assert target.read_bytes() == CONTENT
    assert _only(target)
    assert plan.seen == [None]


def test_an_existing_file_is_not_asked_for(url: str, target: Path, plan: Plan) -> None:
    target.parent.mkdir()
    target.write_bytes(b"the user's own")
    get(url, target)
    assert target.read_bytes() == b"the user's own"
    assert plan.seen == []


def test_a_dropped_connection_is_resumed(url: str, target: Path, plan: Plan) -> None:
    plan.drop_after = [500_000, 1, 0, 600_000]
    get(url, target)
    assert target.read_bytes() == CONTENT
    assert plan.seen == [None, "bytes=500000-", "bytes=500001-", "bytes=500001-", "bytes=1100001-"]


def test_a_download_goes_on_in_the_next_run(url: str, target: Path, plan: Plan) -> None:
    plan.drop_after = [700_000, 0, 0, 0, 0]
    with pytest.raises(UserError, match="ended after 700000 of 1500000 bytes"):
        get(url, target)
    assert not target.exists()
    plan.drop_after = []
    get(url, target)
    assert target.read_bytes() == CONTENT
    assert plan.seen[-1] == "bytes=700000-"


def test_a_server_that_cannot_resume_sends_all_again(url: str, target: Path, plan: Plan) -> None:
    plan.drop_after, plan.ranges = [500_000], False
    get(url, target)
    assert target.read_bytes() == CONTENT
    assert len(plan.seen) == 2


def test_a_part_of_another_version_is_thrown_away(url: str, target: Path) -> None:
    target.parent.mkdir()
    part = target.with_name("file.bin.part")
    for stale in (b"x" * 1000, b"x" * 2_000_000):  # damaged; longer than the file, answered with 416
        part.write_bytes(stale)
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert _only(target)
        target.unlink()


def test_a_part_that_is_whole_is_not_fetched_again(url: str, target: Path, plan: Plan) -> None:
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT)
    get(url, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(url: str, target: Path) -> None:
    wrong = "sha256:" + "0" * 64
    with pytest.raises(UserError, match="is damaged") as error:
        get(url, target, wrong)
    assert wrong in str(error.value)
    assert SHA in str(error.value)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_repeated(url: str, target: Path, plan: Plan, status: int) -> None:
    plan.status = status
    with pytest.raises(UserError, match=f"answered {status}") as error:
        get(url, target)
    assert f"by hand and put it at {target}" in str(error.value)
    assert len(plan.seen) == 1


def test_a_busy_server_is_asked_again(url: str, target: Path, plan: Plan) -> None:
    plan.failures = 2
    get(url, target)
    assert target.read_bytes() == CONTENT
    plan.failures = 99
    with pytest.raises(UserError, match="503"):
        get(url, target.with_name("other"))
    assert len(plan.seen) == 3 + 3


def test_no_server_says_where_to_put_the_file(target: Path) -> None:
    with pytest.raises(UserError) as error:
        get("http://127.0.0.1:9/file.bin", target)
    assert f"put it at {target}" in str(error.value)
    assert "refused" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_target_that_cannot_be_written_is_no_network_error(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        get(url, tmp_path / "file" / "file.bin")
    (tmp_path / "x.part").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        get(url, tmp_path / "x")


def test_a_mirror_takes_the_servers_place(url: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WGAN_MIRROR", url.rsplit("/", 1)[0] + "/")
    get("https://example.invalid/a/b/file.bin", target)
    assert target.read_bytes() == CONTENT


def test_downloads_of_one_file_take_turns(url: str, target: Path, plan: Plan) -> None:
    threads = [threading.Thread(target=get, args=(url, target)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert plan.seen == [None]


def test_progress_goes_to_stderr_unless_quiet(url: str, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    get(url, target)
    assert capsys.readouterr() == ("", "")
    target.unlink()
    fetch(url, target, SHA)
    assert capsys.readouterr() == ("", f"downloading {url} (1.5 MB)\n")
