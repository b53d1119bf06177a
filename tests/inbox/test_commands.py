"""The commands of the inbox, in this process; `serve` itself is tried in tests/system."""

import json
import stat

import pytest

from flows.cli import main

CONFIG = """
directory: acme
tenants:
  corp: {kind: inbox}
  pool: {kind: inbox, shared: true, tenants: {corp: {segment: corp}}}
"""


@pytest.fixture
def onefold(tmp_path, capsys, monkeypatch):
    """Runs a command with --json and gives its exit code and document."""
    (tmp_path / "onefold.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([*arguments, "--json"])
        text = capsys.readouterr().out
        return code, json.loads(text) if text.strip() else None

    return run


def test_a_token_is_shown_once(onefold, tmp_path):
    """new shows the text; list never does; everything is private on the disk."""
    code, made = onefold(
        "token", "new", "corp", "--expires", "20d", "--network", "198.51.100.0/24", "--note", "Entra portal"
    )
    assert code == 0
    assert made["token"].startswith("ofi_")
    code, listed = onefold("token", "list")
    assert code == 0
    assert made["token"] not in json.dumps(listed)
    (one,) = listed["tokens"]
    assert (one["tenant"], one["state"], one["networks"], one["note"]) == (
        "corp",
        "valid",
        ["198.51.100.0/24"],
        "Entra portal",
    )
    assert listed["warnings"] == [{"token_id": made["token_id"], "tenant": "corp", "days": 19, "stage": 30}]
    for path in (tmp_path / ".onefold", *(tmp_path / ".onefold").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_rotate_and_revoke(onefold):
    """rotate names what ends; revoke ends one or all; an unknown id is an error."""
    _, first = onefold("token", "new", "corp")
    code, second = onefold("token", "rotate", "corp", "--overlap", "1d")
    assert (code, second["ending"]) == (0, [first["token_id"]])
    assert onefold("token", "revoke", "corp", "t000")[0] == 2
    assert onefold("token", "revoke", "corp", first["token_id"])[1]["revoked"] == [first["token_id"]]
    assert onefold("token", "revoke", "corp")[1]["revoked"] == [second["token_id"]]
    assert {each["state"] for each in onefold("token", "list", "corp")[1]["tokens"]} == {"revoked"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "new", "nobody"),
        ("token", "new", "corp", "--network", "everywhere"),
        ("token", "new", "corp", "--expires", "soon"),
        ("inbox", "seal", "nobody"),
        ("serve", "--tls-client-ca", "ca.pem"),
    ],
)
def test_usage(onefold, arguments):
    """What cannot be understood ends with 2 before anything is done."""
    assert onefold(*arguments)[0] == 2


def test_seal_and_rebuild(onefold, tmp_path):
    """seal and rebuild need a tenant that the service knows; seal refuses when the counts are not as expected; rebuild tells what differs."""
    from contextlib import closing

    from connectors.inbox.sqlite import connect
    from tests.inbox.conftest import Inbox

    assert onefold("inbox", "seal", "corp")[0] == 5
    assert onefold("inbox", "rebuild", "corp")[0] == 5
    path = tmp_path / ".onefold/inbox/inbox.sqlite"
    inbox = Inbox(path, ("corp",))
    inbox.caller("corp").user("ada")
    inbox.close()
    assert onefold("inbox", "seal", "corp", "--users", "2")[0] == 5
    code, sealed = onefold("inbox", "seal", "corp", "--users", "1")
    assert (code, sealed["fresh"], sealed["users"]) == (0, True, 1)
    assert onefold("inbox", "seal", "corp")[1]["fresh"] is False
    code, proof = onefold("inbox", "rebuild", "corp")
    assert (code, proof["equal"], proof["events"]) == (0, True, 1)
    with closing(connect(path)) as con:
        con.execute("UPDATE inbox_user SET name = 'eve'")
    code, proof = onefold("inbox", "rebuild", "corp")
    assert (code, proof["equal"], len(proof["differences"])) == (4, False, 1)


@pytest.mark.parametrize(
    ("tenants", "words"),
    [
        ("{hr: {kind: files, accounts: {glob: x.csv}}}", "no tenant of kind inbox"),
        ("{pool: {kind: inbox, shared: true, tenants: {gone: {segment: x}}}}", "tenants.pool.tenants.gone"),
        ("{a: {kind: inbox, store: x}, b: {kind: inbox}}", "different stores"),
        ("{a: {kind: inbox, shared: true}}", "shared needs tenants"),
        ("{a: {kind: inbox, shared: true, tenants: {b: {}}}, b: {kind: inbox}}", "recognises nothing"),
    ],
)
def test_configs_that_cannot_be_served(onefold, tmp_path, capsys, tenants, words):
    """A config that makes no sense for the inbox is refused with path and remedy."""
    (tmp_path / "onefold.yaml").write_text(f"directory: acme\ntenants: {tenants}\n")
    code = main(["serve", "--port", "0"])
    assert code == 2
    assert words in capsys.readouterr().err


def test_a_taken_port_and_a_bad_certificate(onefold, tmp_path):
    """serve says in one sentence why it cannot listen."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert onefold("serve", "--port", str(taken.getsockname()[1]))[0] == 5
    (tmp_path / "x.pem").write_text("no certificate")
    code, told = onefold("serve", "--port", "0", "--tls-certificate", "x.pem", "--tls-key", "x.pem")
    assert (code, "TLS certificate" in told["problem"]) == (5, True)
