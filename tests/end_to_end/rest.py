"""A person with a token: the REST calls of the end-to-end tests, over a real socket."""

import json
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.services import Board

MAKE_TOKEN = """
from leaderboard.accounts.models import AuthToken, User
user, _ = User.objects.get_or_create(username={username!r})
print("token=" + AuthToken.objects.create(user=user, name="test", scope="submit")[1])
"""
TERMINAL = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Person:
    board: Board
    token: str

    @classmethod
    def with_token(cls, board: Board, username: str = "alice") -> "Person":
        output = board.manage("shell", "--no-imports", "-c", MAKE_TOKEN.format(username=username))
        return cls(board, output.split("token=")[1].split()[0])

    def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> Any:
        request = urllib.request.Request(
            f"{self.board.url}/api/v1/{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Token {self.token}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def submit(self, **fields: Any) -> str:
        """POST a submission; returns its id. Latency, which needs a quiet machine, only where it is named."""
        body = json.dumps({"tracks": "retrieval,sparsity", **fields}).encode()
        return str(self.call("POST", "submissions/", body)["id"])

    def submit_files(self, files: dict[str, Path], **fields: str) -> str:
        """POST a submission with one uploaded run file a dataset, as a browser or curl would."""
        boundary = uuid.uuid4().hex
        parts = [
            f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode()
            for key, value in fields.items()
        ]
        for dataset, path in files.items():
            head = f'Content-Disposition: form-data; name="file-{dataset}"; filename="{path.name}"\r\n\r\n'
            parts.append(head.encode() + path.read_bytes())
        body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
        body += f"--{boundary}--\r\n".encode()
        answer = self.call("POST", "submissions/", body, f"multipart/form-data; boundary={boundary}")
        return str(answer["id"])

    def wait(self, submission: str, *, seconds: float) -> Any:
        """The submission once every evaluation is terminal; all of them must have succeeded."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(f"submissions/{submission}/")
            states = {evaluation["state"] for evaluation in answer["evaluations"]}
            if states <= TERMINAL:
                assert states == {"succeeded"}, f"{json.dumps(answer, indent=1)}\n{self.board.logs()}"
                return answer
            assert time.monotonic() < deadline, f"{answer}\n{self.board.logs()}"
            time.sleep(0.5)

    def artefact(self, submission: Any, name: str) -> bytes:
        """The published file of that name; `submission` as `wait` gives it."""
        files = [file for evaluation in submission["evaluations"] for file in evaluation["artefacts"]]
        [url] = [file["url"] for file in files if file["name"] == name]
        with urllib.request.urlopen(self.board.url + url, timeout=30) as download:
            return bytes(download.read())

    def row(self, benchmark: str, submission: str) -> Any:
        rows = self.get(f"leaderboards/{benchmark}/")["results"]
        [row] = [row for row in rows if row["submission"] == submission]
        return row
