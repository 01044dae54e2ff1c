"""A fake of Anthropic's Messages API: it answers with a text, a thought and a tool, at once or as a stream."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"input_tokens": 90, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 40, "output_tokens": 25}


def message(body):
    content = [
        {"type": "thinking", "thinking": "Let me see.", "signature": "none"},
        {"type": "text", "text": f"You said {len(json.dumps(body['messages']))} characters."},
        {"type": "tool_use", "id": f"toolu_{len(body['messages'])}", "name": "Bash", "input": {"command": "ls"}},
    ]
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
        "stop_reason": "tool_use", "stop_sequence": None, "usage": USAGE,
    }


def events(body):
    """The same message in the events of a stream."""
    whole = message(body)
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}}
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}[kind]
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
        deltas = {
            "thinking": lambda: [{"type": "thinking_delta", "thinking": block["thinking"]},
                                 {"type": "signature_delta", "signature": block["signature"]}],
            "text": lambda: [{"type": "text_delta", "text": part} for part in (block["text"][:5], block["text"][5:])],
            "tool_use": lambda: [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}],
        }[kind]()
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 25}}
    yield {"type": "message_stop"}


class Provider(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if body.get("stream"):
                kind = "text/event-stream"
                answer = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(body)).encode()
            else:
                kind, answer = "application/json", json.dumps(message(body)).encode()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
