"""The ground that every HTTP source stands on: credentials, throttling, paging."""

import base64
import itertools
import json
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from connectors.answer import Answer
from connectors.assertions import client_assertion, service_account, signer
from connectors.auth import Fixed, Grant, Token, api_key, bearer, claims_of, client_credentials, jwt_bearer, ssws
from connectors.http import Http
from connectors.paging import EMPTY_IN_A_ROW, Ahead, Turn, begun, counted, followed
from connectors.throttling import (
    Throttling,
    by_epoch_reset,
    by_percentage,
    by_reason,
    by_status,
    share_of_window,
    standard,
)
from core.errors import RefusedError, TerminalError, TransientError
from tests.vendors import certificate

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SECRET = "s3cr3t-of-the-app"


def client(answer, **more):
    """A client of a vendor that answers as the function says, and the seconds it slept."""
    slept = []
    http = Http(
        "http://vendor.example/v1",
        place={"tenant": "corp"},
        transport=httpx.MockTransport(answer),
        **{"sleep": slept.append, **more},
    )
    return http, slept


# --- credentials


def test_fixed_keys_are_sent_and_final():
    """An API key, a bearer token and an SSWS token stand in their headers; a 401 is not tried again; nothing shows them."""
    for credential, header, value in (
        (bearer(SECRET), "authorization", f"Bearer {SECRET}"),
        (ssws(SECRET), "authorization", f"SSWS {SECRET}"),
        (api_key(SECRET), "x-api-key", SECRET),
    ):
        seen = []

        def answer(request, header=header, seen=seen):
            seen.append(request.headers[header])
            return httpx.Response(401, json={"error": f"who is {SECRET}"})

        http, _ = client(answer, credential=credential)
        with pytest.raises(RefusedError) as refused:
            http.request("GET", "users")
        assert seen == [value]
        assert SECRET not in str(refused.value)
        assert SECRET not in repr(credential)


def test_a_token_is_renewed_before_it_ends():
    """A token is asked for on first use, kept while it lives, and asked for anew before its end."""
    now, given = [0.0], []

    def ask():
        given.append(now[0])
        return Token(f"t{len(given)}", 3_600)

    grant = Grant(ask, clock=lambda: now[0])
    assert given == []
    for at, token in ((0, "t1"), (3_200, "t1"), (3_301, "t2"), (6_000, "t2"), (6_700, "t3")):
        now[0] = at
        assert grant.headers() == {"Authorization": f"Bearer {token}"}


def test_an_early_renewal_may_fail_and_a_late_one_may_not():
    """While the old token lives, a login that is down is no failure; at its end it is."""
    now, down = [0.0], [False]

    def ask():
        if down[0]:
            raise TransientError("the login is down")
        return Token("t", 3_600)

    grant = Grant(ask, clock=lambda: now[0])
    grant.headers()
    now[0], down[0] = 3_400, True
    assert grant.headers() == {"Authorization": "Bearer t"}
    now[0] = 3_601
    with pytest.raises(TransientError):
        grant.headers()


def test_a_401_asks_for_another_token_once():
    """A token that the vendor no longer takes is replaced once; when the next is refused as well, that is the answer."""
    given, taken = [], {"t2"}

    def answer(request):
        found = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(200 if found in taken else 401, json={})

    def ask():
        given.append(1)
        return Token(f"t{len(given)}", 3_600)

    http, _ = client(answer, credential=Grant(ask))
    assert http.request("GET", "users").status == 200
    assert len(given) == 2
    taken.clear()
    with pytest.raises(RefusedError):
        http.request("GET", "users")
    assert len(given) == 3


def test_many_threads_share_one_renewal():
    """Ten threads whose token was refused ask for one other, not for ten."""
    given = []

    def ask():
        given.append(1)
        return Token(f"t{len(given)}", 3_600)

    grant = Grant(ask)
    sent = grant.headers()
    threads = [threading.Thread(target=grant.renew, args=(sent,)) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(given) == 2


def test_a_login_that_gives_the_same_token_again_is_not_asked_for_ever():
    """Some vendors give the same token until it ends: after a 401 that is no reason to send the request again."""
    grant = Grant(lambda: Token("same", 3_600))
    assert not grant.renew(grant.headers())


def test_client_credentials_with_a_secret():
    """The form of RFC 6749, and a refusal with the vendor's words, a remedy, and no secret."""
    asked = []

    def answer(request):
        asked.append(request.content.decode())
        if len(asked) == 1:
            return httpx.Response(200, json={"access_token": "t", "expires_in": "3599"})
        return httpx.Response(401, json={"error": "invalid_client", "error_description": f"AADSTS7000215 {SECRET}"})

    http, _ = client(answer, secrets=[SECRET])
    ask = client_credentials(
        http, "token", client_id="app", secret=SECRET, scope="x/.default", explain=lambda _answer: "Make another"
    )
    assert ask().lives_seconds == 3_599
    assert asked[0] == f"grant_type=client_credentials&client_id=app&scope=x%2F.default&client_secret={SECRET}"
    with pytest.raises(RefusedError, match="Make another") as refused:
        ask()
    assert "AADSTS7000215" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_client_assertions_verify(algorithm):
    """The assertion is signed by the key, names app and audience, ends within ten minutes, and is never the same twice."""
    key, text = certificate()
    made = signer(text, place={"tenant": "corp"}, field="certificate")
    make = client_assertion(
        made, client_id="app", audience="https://login", algorithm=algorithm, header={"x5t#S256": made.thumbprint},
        now=lambda: NOW,
    )  # fmt: skip
    token = make()
    head, body, signature = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    header, claims = json.loads(head), json.loads(body)
    public = x509.load_pem_x509_certificate(text.encode()[text.index("-----BEGIN CERT") :])
    thumbprint = base64.urlsafe_b64encode(public.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    assert header == {"alg": algorithm, "typ": "JWT", "x5t#S256": thumbprint}
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("app", "app", "https://login")
    assert claims["nbf"] < NOW.timestamp() < claims["exp"] <= NOW.timestamp() + 600
    scheme = padding.PKCS1v15() if algorithm == "RS256" else padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    key.public_key().verify(signature, token.rpartition(".")[0].encode(), scheme, hashes.SHA256())
    assert make() != token
    assert made.ends_at == datetime(2028, 1, 1)  # noqa: DTZ001 - stored in UTC without zone
    assert claims_of(token)["aud"] == "https://login"


def test_a_service_account_acts_for_an_administrator():
    """Google's grant: RS256, the scopes in one text, the administrator as subject, the key's id in the header."""
    _, text = certificate(bare=True)
    asked = []

    def answer(request):
        asked.append(dict(each.split("=", 1) for each in request.content.decode().split("&")))
        return httpx.Response(200, json={"access_token": "t", "expires_in": 3599})

    http, _ = client(answer)
    made = signer(text, place={}, field="key")
    assertion = service_account(
        made, email="a@p.example", subject="admin@corp.example", scopes=("one", "two"), audience="https://token",
        key_id="k1", now=lambda: NOW,
    )  # fmt: skip
    jwt_bearer(http, "token", assertion=assertion)()
    claims = claims_of(asked[0]["assertion"])
    assert asked[0]["grant_type"] == "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
    assert (claims["iss"], claims["sub"], claims["scope"]) == ("a@p.example", "admin@corp.example", "one two")
    assert claims["exp"] - claims["iat"] <= 3_600


def test_keys_that_cannot_be_used_are_named_and_not_shown():
    """No key, an encrypted one, one that is not RSA, and a certificate of another key: each one sentence with the field."""
    key, good = certificate()
    other, _ = certificate(bare=True)
    _, stranger = certificate(key_of=other)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"p")
    ).decode()
    for text, words in (
        ("what is no key", "no private key"),
        (encrypted, "is encrypted"),
        (stranger, "another key"),
        (good.replace("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----x"), "certificate that cannot"),
    ):
        with pytest.raises(RefusedError, match=words) as refused:
            signer(text, place={"tenant": "corp"}, field="certificate")
        assert str(refused.value).startswith("tenant corp, field certificate")
        assert text not in str(refused.value)
        assert "BEGIN" not in str(refused.value)


def test_opaque_tokens_have_no_claims():
    """Whatever is no JWT says nothing of itself, and breaks nothing."""
    for token in ("", "opaque", "a.b", "a.b.c", "a.bm90IGpzb24.c", "a.W10.c"):
        assert claims_of(token) == {}


# --- throttling


def said(status, headers=None, body=None):
    content = json.dumps(body).encode() if body is not None else b""
    return Answer(status, httpx.Headers(headers or {}), content, "GET /users")


def test_each_vendor_says_it_differently():
    """Retry-After, an epoch, a concurrency hint, a 403 with a reason, a limit of nothing: each read as it is meant."""
    epoch = str(int((NOW + timedelta(seconds=40)).timestamp()))
    okta, google, graph = (
        by_epoch_reset(lambda: NOW),
        by_reason("userRateLimitExceeded", "quotaExceeded"),
        by_status(429),
    )
    assert standard(said(429, {"Retry-After": "7"})).wait_seconds == 7
    assert standard(said(429)).wait_seconds is None
    assert standard(said(429, {"X-RateLimit-Limit": "0"})).for_ever
    assert standard(said(429, {"Retry-After": str(2**63 - 1)})).for_ever
    assert standard(said(403)) is None
    full = {"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": epoch}
    assert okta(said(429, full)).wait_seconds == 40
    busy = okta(said(429, {**full, "X-Rate-Limit-Limit": "0"}))
    assert (busy.wait_seconds, busy.for_ever) == (None, False)
    reason = {"error": {"code": 403, "errors": [{"domain": "usageLimits", "reason": "quotaExceeded"}]}}
    assert "quotaExceeded" in google(said(403, body=reason)).why
    assert google(said(403, body={"error": {"errors": [{"reason": "forbidden"}]}})) is None
    assert google(said(403, body=["odd"])) is None
    assert google(said(403)) is None
    assert google(said(429)) is not None
    told = {"x-ms-throttle-information": "ResourceUnitLimitExceeded"}
    assert "ResourceUnit" in by_status(429, words=tuple(told))(said(429, told)).why
    assert graph(said(503)) is None


def test_a_share_of_the_window_is_left_to_others():
    """Half of the window used means waiting for its reset; before that, and without headers, there is no wish."""
    foresee = share_of_window(0.5, lambda: NOW)
    reset = str(int((NOW + timedelta(seconds=25)).timestamp()))
    for left, seconds in (("301", 0), ("300", 25), ("0", 25)):
        headers = httpx.Headers(
            {"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": left, "X-Rate-Limit-Reset": reset}
        )
        assert foresee(headers) == seconds
    assert foresee(httpx.Headers()) == 0
    assert foresee(httpx.Headers({"X-Rate-Limit-Limit": "0", "X-Rate-Limit-Remaining": "0"})) == 0


def test_a_fuller_bucket_slows_down():
    """From 80 % on, longer pauses, never more than the window."""
    foresee = by_percentage("x-ms-throttle-limit-percentage", start=0.8, full_seconds=10)
    found = [foresee(httpx.Headers({"x-ms-throttle-limit-percentage": text})) for text in ("0.8", "1.3", "9", "odd")]
    assert found == [0, 5, 10, 0]
    assert foresee(httpx.Headers()) == 0


def test_a_throttled_request_waits_as_told_and_then_passes():
    """With Retry-After the wait is that; without it waits double from the vendor's first; refused calls are never sent at once."""
    for headers, first, slept in (({"Retry-After": "9"}, 5.0, [9, 9]), ({}, 5.0, [5, 10])):
        left = iter([httpx.Response(429, headers=headers)] * 2 + [httpx.Response(200, json={})])
        http, waits = client(lambda _request, left=left: next(left), throttling=Throttling(first_seconds=first))
        assert http.request("GET", "users").status == 200
        told = waits[::2]  # every second one is the shared pause, which no time has passed for here
        assert len(told) == 2
        for wait, most in zip(told, slept, strict=True):
            assert most / 2 <= wait <= most


def test_absurd_waits_end_the_read():
    """An hour is above the ceiling: the request fails at once and says how long; three days are a block that a human must lift."""
    http, waits = client(lambda _request: httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(TransientError) as late:
        http.request("GET", "users")
    assert (late.value.retry_after, waits) == (3_600, [])
    http, waits = client(lambda _request: httpx.Response(429, headers={"Retry-After": "259200"}))
    with pytest.raises(RefusedError, match="blocked"):
        http.request("GET", "users")
    assert waits == []


def test_what_is_foreseen_is_waited_for():
    """A header that wishes a pause makes the next request wait, on any thread."""
    http, waits = client(
        lambda _request: httpx.Response(200, json={}), throttling=Throttling(foresee=lambda _headers: 3.0)
    )
    http.request("GET", "users")
    assert waits == []
    http.request("GET", "users")
    assert 2.5 < waits[0] <= 3


# --- paging


def test_followed_pages_end_where_there_is_no_next():
    """Empty pages in between are no end; a circle is named and left; endless emptiness as well."""
    pages = {"a": Turn([1], "b"), "b": Turn([], "c"), "c": Turn([2])}
    assert [turn.items for turn in followed("a", pages.__getitem__, what="x")] == [[1], [], [2]]
    circle = {"a": Turn([1], "b"), "b": Turn([2], "a")}
    *_, last = followed("a", circle.__getitem__, what="x")
    assert "circle" in last.gaps[0]
    endless = list(followed("0", lambda text: Turn([], str(int(text) + 1)), what="x"))
    assert (len(endless), "empty pages" in endless[-1].gaps[0]) == (EMPTY_IN_A_ROW, True)


@given(st.integers(0, 40), st.integers(1, 7), st.booleans())
def test_counted_pages_give_every_row_once(many, size, told):
    """Whatever the page size and whether the vendor counts, every row comes once and nothing is odd."""
    rows = [str(each) for each in range(many)]

    def fetch(start):
        return Turn(rows[start : start + size], total=many if told else None)

    turns = list(counted(fetch, what="x", id_of=str, parameter="skip", needs_total=False, size=size))
    assert [row for turn in turns for row in turn.items] == rows
    assert not [each for turn in turns for each in (*turn.gaps, *turn.warnings)]


def test_counted_pages_that_lie_are_named():
    """Paging ignored, rows past the end, an early end, no total: each is a gap or a warning of its page."""

    def told(fetch, **more):
        turns = list(counted(fetch, what="/users", id_of=str, parameter="skip", **more))
        return " ".join(each for turn in turns for each in (*turn.gaps, *turn.warnings)), len(turns)

    assert told(lambda _start: Turn(list("ab"), total=9)) == (
        "/users ignores skip: asked for row 2 it began with the first row again", 2,
    )  # fmt: skip
    words, _ = told(lambda start: Turn(list("abc") if not start else list("def"), total=4))
    assert "rows came past the end" in words
    words, _ = told(lambda start: Turn([] if start else ["a"], total=4))
    assert "ended after 1 of 4 rows" in words
    words, _ = told(lambda start: Turn([] if start else ["a"]))
    assert "nothing proves that all came" in words


def test_pages_are_fetched_ahead_in_their_order():
    """At most so many wait; the order stays; an error stands where it happened; closing ends the fetching."""
    fetched = []

    def pages():
        for number in range(100):
            fetched.append(number)
            yield number

    ahead = Ahead(pages, depth=2)
    reader = iter(ahead)
    assert [next(reader) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    assert len(fetched) <= 7

    def broken():
        yield 1
        raise TerminalError("here")

    reader = iter(Ahead(broken))
    assert next(reader) == 1
    with pytest.raises(TerminalError, match="here"):
        next(reader)
    assert list(Ahead(lambda: iter(range(50)))) == list(range(50))


def test_a_fixed_credential_shows_its_headers_names_only():
    """What is logged by accident names the header and not the key."""
    assert repr(Fixed({"x-api-key": SECRET})) == "Fixed(x-api-key)"
    assert SECRET not in repr(Token(SECRET, 1))


def test_lists_begun_ahead_keep_their_order_and_their_pages():
    """Whichever first page comes first, lists come in order, whole, and only a few are begun before they are asked for."""
    opened, running = [], threading.Semaphore(0)

    def pages(key):
        opened.append(key)
        if key == "a":
            assert running.acquire(timeout=5)  # the first list waits until a later one is there
        elif key == "b":
            running.release()
        for number in range(3 if key == "c" else 1):
            yield f"{key}{number}"

    lists = begun(["a", "b", "c", "d", "e", "f"], pages, width=2)
    assert [(key, list(each)) for key, each in itertools.islice(lists, 2)] == [("a", ["a0"]), ("b", ["b0"])]
    assert len(opened) <= 4
    assert [(key, len(list(each))) for key, each in lists] == [("c", 3), ("d", 1), ("e", 1), ("f", 1)]
    assert sorted(opened) == ["a", "b", "c", "d", "e", "f"]


def test_an_error_of_a_list_begun_ahead_stands_in_its_place():
    """Lists before the one that failed are given first; what was not begun never is."""
    opened = []

    def pages(key):
        opened.append(key)
        if key == "b":
            raise TransientError("no answer")
        yield key

    lists = begun(["a", "b", "c", "d", "e", "f"], pages, width=2)
    key, each = next(lists)
    assert (key, list(each)) == ("a", ["a"])
    with pytest.raises(TransientError):
        next(lists)
    assert "f" not in opened
