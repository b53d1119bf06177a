"""Whatever comes: an answer with a SCIM body, never a 500, never a word about others."""

import contextlib
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.inbox.filters import parse
from connectors.inbox.wire import Limits, ScimError

SMALL = Limits(body_bytes=20_000, members=50, values=5, operations=10, most=10, page=5)


@pytest.fixture
def small(make_inbox):
    return make_inbox(limits=SMALL).caller("corp")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"text"', 400),
        (b"{", 400),
        (b'{"userName": "a"} x', 400),
        (b'{"userName": "a", "userName": "b"}', 400),
        (b'{"userName": "a", "name": {"givenName": "x", "givenName": "y"}}', 400),
        (b'{"userName": NaN}', 400),
        (b'{"userName": "a", "x": 1e999}', 400),
        (b'{"userName": "a", "x": -Infinity}', 400),
        (b'{"userName": "\xff\xfe"}', 400),
        (b'{"userName": "a\\u0000b"}', 400),
        (b'{"userName": "\\ud800"}', 400),
        (b'{"userName": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        (b'{"userName": "a", "x": ' + b'{"y":' * 15 + b"1" + b"}" * 15 + b"}", 400),
        (b'{"userName": "a", "x": ' + b"9" * 6000 + b"}", 400),
        (b'{"userName": 123456789012345678901234567890}', 400),
        (b'{"userName": {"a": 1}}', 400),
        (b'{"userName": ["a"]}', 400),
        (b'{"userName": true}', 400),
        (b'{"userName": null}', 400),
        (b'{"userName": ""}', 400),
        (b'{"userName": "   "}', 400),
        (b'{"userName": "' + b"a" * 1025 + b'"}', 400),
        (b'{"displayName": "no name"}', 400),
        (b'{"userName": "a", "active": "perhaps"}', 400),
        (b'{"userName": "a", "active": 1}', 400),
        (b'{"userName": "a", "emails": "x@y.example"}', 201),
        (b'{"userName": "a", "emails": 7}', 201),
        (b'{"userName": "a", "emails": [[1]]}', 400),
        (b'{"userName": "a", "emails": [null]}', 400),
        (b'{"userName": "a", "name": "Ada"}', 400),
        (b'{"userName": "a", "emails": [{"value": 1.5}]}', 400),
        (
            b'{"userName": "a", "emails": [{"value": "1"},{"value": "2"},{"value": "3"},{"value": "4"},{"value": "5"},{"value": "6"}]}',
            400,
        ),
        (b'{"userName": "a", "x": 123456789012345678901234567890}', 201),
        (b'{"userName": "a", "schemas": 5}', 201),
        (b'{"userName": "a", "schemas": ["urn:x:y"]}', 201),
        (b'{"userName": "a", "": 1, " ": 2, "\\u00e4": 3, "a.b.c": 4, "[": 5, "urn:": 6, "urn:x[": 7}', 201),
        (b'{"userName": "a", "id": "mine", "meta": 5}', 201),
        (b'\xef\xbb\xbf{"userName": "a"}', 201),
        (b"{" + b" " * 20_000 + b"}", 413),
    ],
)
def test_bodies(small, raw, status):
    """Bodies that are no JSON, no object, too deep, too large, of wrong types, with doubled keys or impossible characters."""
    answer = small("POST", "/Users", raw=raw)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"] if status >= 400 else body["userName"]


def test_sizes(small):
    """Members, operations, page sizes and addresses are bounded."""
    crew = small.group("crew")
    many = [{"value": f"m{place}"} for place in range(51)]
    assert small.patch(f"/Groups/{crew}", {"op": "add", "path": "members", "value": many}) in {400, 413}
    assert small.patch(f"/Groups/{crew}", *[{"op": "remove", "path": "members", "value": []}] * 11) == 400
    for place in range(12):
        small.user(f"u{place}")
    assert small.get("/Users?count=1000000000000000000000000")["itemsPerPage"] == 10
    assert small.get("/Users?startIndex=99999999999999999999&count=5")["Resources"] == []
    assert small("GET", "/Users?filter=" + "a" * 9000).status_code == 414
    assert small("GET", "/Users?" + "&".join(f"p{place}=1" for place in range(101))).status_code == 400
    assert small("GET", "/Users", params={"filter": 'userName eq "' + "a" * 3000 + '"'}).status_code == 400
    assert small("GET", "/Users", params={"filter": "(" * 11 + "active pr" + ")" * 11}).status_code == 400
    assert small("GET", "/Users", params={"filter": " or ".join(["active pr"] * 41)}).status_code == 400
    assert small("GET", "/Users?count=1.5").status_code == 400
    assert small("GET", "/Users?startIndex=x").status_code == 400
    assert small("GET", "/Users?filter=%ff").status_code == 400
    assert small("GET", "/Users?filter=%00").status_code == 400


@pytest.mark.parametrize(
    "operations",
    [
        None, [], 5, "x", [5], [{}], [{"op": 5}], [{"op": "move", "path": "title"}], [{"op": "add"}], [{"op": "remove"}],
        [{"op": "replace", "path": 5, "value": 1}], [{"op": "replace", "path": "a b", "value": 1}],
        [{"op": "replace", "path": "emails[", "value": 1}], [{"op": "replace", "path": "title[x eq 1]", "value": 1}],
        [{"op": "replace", "path": 'emails[value sw "x"].type', "value": "y"}], [{"op": "replace", "value": [1]}],
        [{"op": "replace", "path": "title"}], [{"op": "replace", "path": "title", "value": {"a": 1}}],
        [{"op": "remove", "path": "userName"}], [{"op": "replace", "path": "x" * 5000, "value": 1}],
        [{"op": "replace", "path": "active", "value": [True]}], [{"op": "add", "path": "emails", "value": [{"value": {}}]}],
    ],
)  # fmt: skip
def test_patches_that_are_none(small, operations):
    """A PATCH that cannot be understood is 400 and changes nothing."""
    ada = small.user("ada", emails=[{"value": "a", "type": "work"}])
    before = small.get(f"/Users/{ada}")
    answer = small("PATCH", f"/Users/{ada}", {"Operations": operations})
    assert answer.status_code == 400, answer.text
    assert small.get(f"/Users/{ada}") == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "99999999999999999999"}, 413),
        ({"Content-Length": "-1"}, 413),
        ({"Content-Type": "application/json;charset=utf-8"}, 201),
        ({"Content-Type": "text/plain"}, 201),
    ],
)
def test_headers(small, headers, status):
    """Content types of forms, compressed bodies and impossible lengths are refused; any JSON is taken."""
    assert small("POST", "/Users", {"userName": "a"}, headers=headers).status_code == status


def test_host_headers_do_not_get_into_addresses(small):
    """A Host header that is none is not given out again."""
    answer = small("POST", "/Users", {"userName": "a"}, headers={"Host": 'x"><script>'})
    assert answer.json()["meta"]["location"].startswith("http://localhost/")


def test_passwords_are_not_kept(small):
    """No password is in the store: not of a body, a path, a path-less value, nor one whose name is written with an escape."""
    ada = small.user("ada", password="sEcret-1")
    raw = json.dumps({"userName": "bob", "passwXord": "sEcret-2"}).replace("passwXord", "passw\\u006frd")
    assert small("POST", "/Users", raw=raw.encode()).status_code == 201
    small.patch(f"/Users/{ada}", {"op": "replace", "path": "password", "value": "sEcret-3"})
    small.patch(f"/Users/{ada}", {"op": "replace", "value": {"password": "sEcret-4"}})
    core = "urn:ietf:params:scim:schemas:core:2.0:User:password"
    small.patch(f"/Users/{ada}", {"op": "replace", "path": core, "value": "sEcret-5"})
    small("PUT", f"/Users/{ada}", {"userName": "ada", "PASSWORD": "sEcret-6"})
    small.inbox.run(small.inbox.store.run(_checkpointed()))
    assert b"ada" in small.inbox.kept()
    assert b"sEcret" not in small.inbox.kept()


def _checkpointed():
    return (yield "SELECT count(*) FROM inbox_event", ())


def test_unexpected_faults_are_answered(inbox, corp, caplog):
    """A bug is a 500 with a SCIM body; the log names the place, and nobody."""
    corp.user("ada@corp.example")
    inbox.service.directory.numbers = {}
    answer = corp("GET", "/Users", params={"filter": 'userName eq "ada@corp.example"'})
    assert answer.status_code == 500
    assert answer.json()["status"] == "500"
    assert "KeyError at" in caplog.text
    assert "ada@corp" not in caplog.text


def test_health(inbox, corp):
    """Health and readiness need no token and tell nothing; a stopping service is not ready."""
    nobody = inbox.caller("corp", prefix="")
    nobody.token = None
    assert nobody("GET", "/healthz").json() == {"status": "ok"}
    assert nobody("GET", "/readyz").status_code == 200
    inbox.service.ready = False
    assert nobody("GET", "/readyz").status_code == 503
    assert nobody("GET", "/healthz").status_code == 200
    inbox.service.ready = True


JSONISH = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["True", "a@b.example", "", "urn:x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "$ref", "display", "op", "path"]) | st.text(max_size=6),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "userName", "displayName", "active", "emails", "name", "manager", "members", "externalId", "groups", "password",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "id", "meta", "schemas", "name.givenName",
        'emails[type eq "work"].value', "urn:ietf:params:scim:schemas:core:2.0:Group:members", "Operations",
    ]
)  # fmt: skip
PATHS = NAMES | st.text(string.ascii_letters + '.[]" :$', max_size=20)
TERMS = st.sampled_from(
    ["userName", "eq", '"x"', "and", "or", "not", "(", ")", "[", "]", "pr", "emails", ".value", "co", "true", "null", "1", "members",
     "manager", "meta.created", "gt", "groups", "ne", '"\\u00e4"', '"', "urn:a:b"]
)  # fmt: skip


@pytest.fixture
def lasting(make_inbox):
    """One store for all examples of a test."""
    return make_inbox(limits=SMALL).caller("corp")


HARD = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@HARD
@given(st.sampled_from(["Users", "Groups"]), st.dictionaries(NAMES | st.text(max_size=5), JSONISH, max_size=5))
def test_any_resource_is_answered(lasting, kind, body):
    """POST, PUT and reading back of any JSON object: an answer below 500, and what was accepted can be read, listed and filtered."""
    answer = lasting("POST", f"/{kind}", body)
    assert answer.status_code < 500, answer.text
    if answer.status_code == 201:
        made = answer.json()["id"]
        assert lasting("PUT", f"/{kind}/{made}", body).status_code in {200, 400}
        assert lasting("GET", f"/{kind}/{made}").status_code == 200
        for text in (
            "active pr and title ne null",
            "meta.created pr",
            'emails[type eq "x"].value co "y" or manager pr',
        ):
            assert lasting("GET", f"/{kind}", params={"filter": text}).status_code == 200
        assert lasting("DELETE", f"/{kind}/{made}").status_code == 204


@HARD
@given(
    st.sampled_from(["Users", "Groups"]),
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "Replace", "REMOVE"])}, optional={"path": PATHS, "value": JSONISH}
        ),
        max_size=4,
    ),
)
def test_any_patch_is_answered(lasting, kind, operations):
    """PATCH with any operations: an answer below 500, and the record can still be read."""
    name = "userName" if kind == "Users" else "displayName"
    made = lasting("POST", f"/{kind}", {name: "patched", "emails": [{"value": "a", "type": "work"}]}).json()["id"]
    answer = lasting("PATCH", f"/{kind}/{made}", {"Operations": operations})
    assert answer.status_code < 500, answer.text
    assert lasting("GET", f"/{kind}/{made}").status_code == 200
    assert lasting("DELETE", f"/{kind}/{made}").status_code == 204


@HARD
@given(st.lists(TERMS, max_size=12).map(" ".join) | st.text(max_size=30))
def test_any_filter_is_answered(lasting, text):
    """GET with any filter: 200 or 400."""
    lasting("POST", "/Users", {"userName": "there", "emails": [{"value": "x"}]})
    assert lasting("GET", "/Users", params={"filter": text}).status_code in {200, 400}
    assert lasting("GET", "/Groups", params={"filter": text}).status_code in {200, 400}


@given(st.text(max_size=200))
def test_the_parser_refuses_or_parses(text):
    """The parser knows one exception."""
    with contextlib.suppress(ScimError):
        parse(text, Limits())
