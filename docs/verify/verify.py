"""Verifies a delivery of Anyhook's in Python, with nothing but its standard library.

A receiver calls `standard` (or `sig256`) with the raw body as it came in, before anything parses it. The program below
does the same for a delivery in a file:

    echo '{"headers": {...}, "body": "..."}' | python3 verify.py standard whsec_...
"""

import base64
import hashlib
import hmac
import json
import sys
import time

# How far a delivery may be from now, in seconds: an older one may be a copy that somebody sends again.
TOLERANCE_S = 300


def key_of(secret):
    """Standard Webhooks' key: what the base64 behind `whsec_` stands for, else the secret's own bytes."""
    return base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()


def standard(headers, body, secrets):
    """True if `webhook-signature` is by one of these secrets, over this very body, and of now.

    `headers` have lower-case names, `body` is bytes. While a secret is replaced the header has a signature by each.
    """
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > TOLERANCE_S:
        return False
    content = b".".join([headers.get("webhook-id", "").encode(), sent_at.encode(), body])
    sent = [one.removeprefix("v1,") for one in headers.get("webhook-signature", "").split(" ") if one.startswith("v1,")]
    good = False
    for secret in secrets:
        expected = base64.b64encode(hmac.new(key_of(secret), content, hashlib.sha256).digest())
        for one in sent:
            good |= hmac.compare_digest(expected, one.encode())
    return good


def sig256(body, secrets):
    """True if the body's `sig256` is by one of these secrets, over `data` as it stands in the body, and the nonce.

    It says nothing about when it was sent; only `standard` does. For a workspace whose `signature_encoding` is hex,
    compare with `.hexdigest()`.
    """
    try:
        text = body.decode()
        payload = json.loads(text)
        start = text.index('"data":') + len('"data":')
        _, end = json.JSONDecoder().raw_decode(text, start)
        signed = text[start:end].encode() + payload["nonce"].encode()
        sent = payload["sig256"].encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    good = False
    for secret in secrets:
        expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
        good |= hmac.compare_digest(expected, sent)
    return good


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("standard", "sig256"):
        sys.exit("usage: verify.py standard|sig256 SECRET... < delivery.json")
    delivery, secrets = json.load(sys.stdin), sys.argv[2:]
    raw = delivery["body"].encode()
    is_good = standard(delivery["headers"], raw, secrets) if sys.argv[1] == "standard" else sig256(raw, secrets)
    print("verified" if is_good else "refused")
    sys.exit(0 if is_good else 1)
