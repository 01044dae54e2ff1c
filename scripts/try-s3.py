#!/usr/bin/env python3
"""Stores trajectories in a real S3 server and reads them back with Amazon's own client.

The server is moto, with its checks of signatures on: a request that is not signed with the secret of a user it knows is
refused. Run it as ./dev try-s3; it needs Python 3.11, installs moto below .tools the first time (115 MB, half a minute),
listens on 127.0.0.1 only, and stops what it started.

What is shown: documents arrive under their keys, byte for byte; a late event's revision takes the place of the first; a
collector with a wrong secret stores nothing, says why, and keeps the documents; with the right one they arrive.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import ROOT, Failure, free_ports, say

PACKAGES = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"]
LIBRARY = ROOT / ".tools" / "moto"
RECORDING = ROOT / "Tests" / "Demo" / "research-agent.jsonl"
REGION = "eu-central-1"
BUCKET = "trajectories"
PREFIX = "team a"
TEMPLATE = "runs/{session_id}+é.json"


def install():
    mark, wanted = LIBRARY / "installed", " ".join(PACKAGES)
    if mark.exists() and mark.read_text() == wanted:
        return
    say(f"installing {wanted} into {LIBRARY.relative_to(ROOT)}, about half a minute")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    pip += ["--root-user-action=ignore", "--upgrade", "--target", LIBRARY, *PACKAGES]
    if subprocess.run(pip).returncode != 0:
        raise Failure(f"pip could not install {wanted}")
    mark.write_text(wanted)


class Moto:
    """A server of our own, with a user whose key it knows, for as long as the `with` block lasts."""

    # So many requests need no signature: they make the user and his rights.
    UNSIGNED = 3

    def __init__(self, directory):
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = directory / "moto.log"
        environment = {
            **os.environ,
            "PYTHONPATH": str(LIBRARY),
            "INITIAL_NO_AUTH_ACTION_COUNT": str(self.UNSIGNED),
        }
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        try:
            self.wait_until_ready(seconds=60)
            self.make_user()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_ready(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(self.url.removeprefix("http://").split(":"), timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        lines = self.log_path.read_text(errors="replace").splitlines()[-20:]
        raise Failure("\n".join([f"moto was not ready within {seconds} s:", *lines]))

    def client(self, service, key, secret):
        import boto3

        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
        )

    def make_user(self):
        iam = self.client("iam", "nobody", "nothing")
        iam.create_user(UserName="skein")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        iam.put_user_policy(UserName="skein", PolicyName="s3", PolicyDocument=json.dumps(policy))
        pair = iam.create_access_key(UserName="skein")["AccessKey"]
        self.key, self.secret = pair["AccessKeyId"], pair["SecretAccessKey"]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def configuration(directory, server):
    path = directory / "skein.toml"
    path.write_text(
        f"""version = 1

[collector]
linger_millis = 200

[http]
enabled = false

[[components]]
kind = "observability"

[components.config]
version = 4

[components.config.atif]
enabled = true
filename_template = "{TEMPLATE}"

[[components.config.atif.storage]]
type = "s3"
bucket = "{BUCKET}"
key_prefix = "{PREFIX}"
region = "{REGION}"
endpoint_url = "{server.url}"
allow_http = true
access_key_id = "{server.key}"
secret_access_key_var = "SKEIN_TRY_S3_SECRET"
""",
        encoding="utf-8",
    )
    return path


def skein(arguments, path, directory, secret, timeout=60):
    """Publishes a recording to an embedded Skein and waits until it is stored; the exit code and what was logged."""
    command = [arguments.skein, "up", "--config", path, "--data", directory / "data", "--port", "0", "--exit"]
    command += ["--timeout", str(timeout), "--publish"]
    environment = {**os.environ, "SKEIN_TRY_S3_SECRET": secret}

    def run(recording):
        done = subprocess.run(
            [*command, recording], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150
        )
        return done.returncode, done.stdout + done.stderr

    return run


def objects(s3):
    """Key to body, as Amazon's client reads them."""
    listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {entry["Key"]: s3.get_object(Bucket=BUCKET, Key=entry["Key"]) for entry in listed}


def expect(condition, text, more=""):
    if not condition:
        raise Failure(f"not so: {text}{more and chr(10)}{more}")
    say(f"ok: {text}")


def check(arguments, directory, server):
    s3 = server.client("s3", server.key, server.secret)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    lines = RECORDING.read_text(encoding="utf-8").splitlines(keepends=True)
    opener = next(json.loads(line)["uuid"] for line in lines if json.loads(line)["category"] == "agent")
    key = f"{PREFIX}/" + TEMPLATE.replace("{session_id}", opener)
    late = next(number for number, line in enumerate(lines) if json.loads(line)["kind"] == "scope" and number > 2)
    first, rest = directory / "first.jsonl", directory / "rest.jsonl"
    first.write_text("".join(lines[:late] + lines[late + 1 :]), encoding="utf-8")
    rest.write_text(lines[late], encoding="utf-8")
    path = configuration(directory, server)

    code, output = skein(arguments, path, directory, "not the secret", timeout=8)(first)
    expect(code == 1 and "403: SignatureDoesNotMatch" in output, "a wrong secret is refused, and the log says so", output)
    expect(objects(s3) == {}, "nothing was stored with it")

    code, output = skein(arguments, path, directory, server.secret)(first)
    found = objects(s3)
    expect(code == 0 and list(found) == [key], f"with the right one the document is at {key}", output)
    body = found[key]["Body"].read()
    document = json.loads(body)
    expect(found[key]["ContentType"] == "application/json", "its type is application/json")
    expect(document["session_id"] == opener and document["extra"]["skein"]["revision"] == 1, "it is revision 1")

    code, output = skein(arguments, path, directory, server.secret)(rest)
    found = objects(s3)
    revision = json.loads(found[key]["Body"].read())["extra"]["skein"]["revision"] if key in found else None
    expect(code == 0 and len(found) == 1 and revision == 2, "revision 2 has taken its place", output)


def main():
    parser = argparse.ArgumentParser(description="Store trajectories in moto's S3 server and read them back.")
    parser.add_argument("--skein", type=Path, default=ROOT / ".build" / "release" / "skein", help="the skein to try")
    arguments = parser.parse_args()
    if not arguments.skein.is_file():
        raise Failure(f"no such file: {arguments.skein}")
    install()
    sys.path.insert(0, str(LIBRARY))
    with tempfile.TemporaryDirectory(prefix="skein-s3-") as name:
        directory = Path(name)
        say("starting moto with its checks of signatures")
        with Moto(directory) as server:
            check(arguments, directory, server)
    say("documents are stored, signed and replaced as they should")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"try-s3: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
