<?php
// Verifies a delivery of Anyhook's in PHP, with nothing but its core.
//
// A receiver calls `standard` (or `sig256`) with the raw body as it came in (php://input), before anything parses it. The
// program below does the same for a delivery in a file:
//
//     echo '{"headers": {...}, "body": "..."}' | php verify.php standard whsec_...
declare(strict_types=1);

// How far a delivery may be from now, in seconds: an older one may be a copy that somebody sends again.
const TOLERANCE_S = 300;

// Standard Webhooks' key: what the base64 behind `whsec_` stands for, else the secret's own bytes.
function key_of(string $secret): string
{
    return str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6)) : $secret;
}

// True if `webhook-signature` is by one of these secrets, over this very body, and of now. `$headers` have lower-case
// names. While a secret is replaced the header has a signature by each.
function standard(array $headers, string $body, array $secrets): bool
{
    $sent_at = $headers['webhook-timestamp'] ?? '';
    if (!ctype_digit($sent_at) || abs(time() - (int) $sent_at) > TOLERANCE_S) {
        return false;
    }
    $content = ($headers['webhook-id'] ?? '') . '.' . $sent_at . '.' . $body;
    foreach ($secrets as $secret) {
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', $content, key_of($secret), true));
        foreach (explode(' ', $headers['webhook-signature'] ?? '') as $sent) {
            if (hash_equals($expected, $sent)) {
                return true;
            }
        }
    }
    return false;
}

// True if the body's `sig256` is by one of these secrets, over `data` as it stands in the body, and the nonce. It says
// nothing about when it was sent; only `standard` does. For a workspace whose `signature_encoding` is hex, compare with
// the digest in hexadecimal: hash_hmac without its last argument, and no base64_encode.
function sig256(string $body, array $secrets): bool
{
    $payload = json_decode($body, true);
    $nonce = $payload['nonce'] ?? null;
    $sent = $payload['sig256'] ?? null;
    $data = data_of($body);
    if (!is_string($nonce) || !is_string($sent) || $data === null) {
        return false;
    }
    foreach ($secrets as $secret) {
        if (hash_equals(base64_encode(hash_hmac('sha256', $data . $nonce, $secret, true)), $sent)) {
            return true;
        }
    }
    return false;
}

// The exact text of `data`, the first field: up to the bracket that closes it. Parsed and printed again by PHP, numbers
// might be written otherwise.
function data_of(string $body): ?string
{
    $start = strlen('{"data":');
    if (!str_starts_with($body, '{"data":[')) {
        return null;
    }
    $depth = 0;
    for ($at = $start; ($at += strcspn($body, '"[]{}', $at)) < strlen($body); $at++) {
        switch ($body[$at]) {
            case '"': // A text: to its end, over what is escaped.
                do {
                    $at++;
                    $at += strcspn($body, '"\\', $at);
                    $is_escaped = ($body[$at] ?? '') === '\\';
                    $at += $is_escaped ? 1 : 0;
                } while ($is_escaped);
                break;
            case '[':
            case '{':
                $depth++;
                break;
            default:
                if (--$depth === 0) {
                    return substr($body, $start, $at + 1 - $start);
                }
        }
    }
    return null;
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    $by = $argv[1] ?? '';
    $secrets = array_slice($argv, 2);
    if (!in_array($by, ['standard', 'sig256'], true) || $secrets === []) {
        fwrite(STDERR, "usage: verify.php standard|sig256 SECRET... < delivery.json\n");
        exit(2);
    }
    $delivery = json_decode(stream_get_contents(STDIN), true);
    $is_good = $by === 'standard'
        ? standard($delivery['headers'], $delivery['body'], $secrets)
        : sig256($delivery['body'], $secrets);
    echo $is_good ? "verified\n" : "refused\n";
    exit($is_good ? 0 : 1);
}
