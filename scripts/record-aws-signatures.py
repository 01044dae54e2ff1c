#!/usr/bin/env python3
"""Writes Tests/HTTPTransportTests/Signatures/botocore.json: what botocore signs for S3 at a fixed time.

Needs botocore: python3 -m pip install --target DIRECTORY botocore==1.44.8, and PYTHONPATH=DIRECTORY.
"""

import datetime
import json
from pathlib import Path
from unittest import mock

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OUTPUT = Path(__file__).resolve().parent.parent / "Tests" / "HTTPTransportTests" / "Signatures" / "botocore.json"
CASES = [
    ("PUT", "http://127.0.0.1:9000/bucket/plain.json", '{"a":1}', "us-east-1", None, 1767225600),
    ("PUT", "https://s3.eu-central-1.amazonaws.com/b/runs/2026/a%20b%2B%C3%A9~_.json", "é" * 100, "eu-central-1", None, 1771286399),
    ("PUT", "http://localhost:9000/bucket/a%3Ab%40c%3D%26%24%27%28%29%2A%2C.json", "", "us-east-1", None, 1767225600),
    ("PUT", "http://localhost:9000/bucket/x/y//z.json", "{}", "garage", "a/session+token==", 4102444799),
]


def signed(method, url, body, region, token, time):
    request = AWSRequest(method=method, url=url, data=body.encode(), headers={"content-type": "application/json"})
    # A digest of the body, also over https, where botocore leaves it out by default.
    request.context["payload_signing_enabled"] = True
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    now = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: now.replace(tzinfo=None)):
        botocore.auth.S3SigV4Auth(credentials, "s3", region).add_auth(request)
    return {
        "method": method,
        "url": url,
        "body": body,
        "region": region,
        "token": token,
        "time": time,
        "date": request.headers["X-Amz-Date"],
        "digest": request.headers["X-Amz-Content-SHA256"],
        "authorization": request.headers["Authorization"],
    }


OUTPUT.write_text(
    json.dumps({"botocore": botocore.__version__, "cases": [signed(*case) for case in CASES]}, indent=2) + "\n"
)
