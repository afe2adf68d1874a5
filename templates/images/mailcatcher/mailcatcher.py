"""Accepts every mail, delivers none, shows all of them.

SMTP on port 1025. HTTP on port 8025: `/` a page, `/messages` the same as JSON, `/health`.
The last 200 messages of at most 1 MiB are kept, in memory only.
"""

import json
import signal
import sys
from collections import deque
from datetime import datetime, timezone
from email import message_from_bytes, policy
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock

from aiosmtpd.controller import Controller

SMTP_PORT = 1025
HTTP_PORT = 8025
MAX_MESSAGES = 200
MAX_BYTES = 1024 * 1024

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mail ({count})</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
li {{ border-top: 1px solid #ddd; padding: .75rem 0 }} ol {{ list-style: none; padding: 0 }}
small {{ color: #666 }} pre {{ white-space: pre-wrap; margin: .5rem 0 0 }}
</style></head>
<body><h1>Mail</h1><ol>{items}</ol></body></html>
"""
ITEM = "<li><strong>{subject}</strong><br><small>{from} → {to} · {received}</small><pre>{text}</pre></li>"


class Mailbox:
    """The newest messages, shared by the SMTP thread and the HTTP threads."""

    def __init__(self):
        self._messages = deque(maxlen=MAX_MESSAGES)
        self._lock = Lock()
        self._ids = count(1)

    async def handle_DATA(self, _server, _session, envelope):
        """Called by aiosmtpd for each message; the answer goes to the client."""
        message = describe(envelope)
        with self._lock:
            message["id"] = next(self._ids)
            self._messages.appendleft(message)
        return "250 Caught"

    def messages(self):
        """Newest first."""
        with self._lock:
            return list(self._messages)


def describe(envelope):
    """What is shown of a message. Any bytes may come, so nothing in here may fail on them."""
    try:
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        subject = str(parsed["subject"] or "")
        body = parsed.get_body(preferencelist=("plain", "html"))
        text = body.get_content() if body else ""
    except Exception:  # the parser raises all sorts for malformed mail
        subject, text = "(unreadable)", envelope.content.decode("utf-8", "replace")
    return {
        "received": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "from": envelope.mail_from,
        "to": ", ".join(envelope.rcpt_tos),
        "subject": clean(subject),
        "text": clean(text),
    }


def clean(text):
    """Without the lone surrogates that stand for undecodable bytes: they cannot be written out again."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


class Handler(BaseHTTPRequestHandler):
    mailbox = Mailbox()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/health":
            self.answer(200, "text/plain", "ok\n")
        elif path == "/messages":
            self.answer(200, "application/json", json.dumps(self.mailbox.messages()))
        elif path == "/":
            self.answer(200, "text/html", self.page())
        else:
            self.answer(404, "text/plain", "not found\n")

    def page(self):
        messages = self.mailbox.messages()
        items = "".join(ITEM.format(**{key: escape(str(value)) for key, value in m.items()}) for m in messages)
        return PAGE.format(count=len(messages), items=items or "<li>No mail yet.</li>")

    def answer(self, status, content_type, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent: a readiness probe is not news."""


def main():
    # Process 1 of a container has no default signal handlers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Controller(Handler.mailbox, hostname="0.0.0.0", port=SMTP_PORT, data_size_limit=MAX_BYTES).start()
    ThreadingHTTPServer(("0.0.0.0", HTTP_PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
