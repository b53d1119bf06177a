"""The commands of the inbox, in this process; `serve` itself is tried in tests/system."""

import json
import stat

import pytest

from connectors.inbox.stores import Database
from flows.cli import main
from tests.inbox.conftest import Caller, Inbox, told

CONFIG = """
directory: acme
tenants:
  corp: {kind: inbox}
  pool: {kind: inbox, shared: true, tenants: {corp: {segment: corp}}}
"""


@pytest.fixture
def served(tmp_path, place):
    """Where the commands find the store: by default in the state folder, or in a database."""
    return place if isinstance(place, Database) else tmp_path / ".onefold/inbox/inbox.sqlite"


@pytest.fixture
def onefold(tmp_path, capsys, monkeypatch, place):
    """Runs a command with --json and gives its exit code and document."""
    text = CONFIG
    if isinstance(place, Database):
        monkeypatch.setenv("INBOX_DATABASE", place.url)
        text = CONFIG.replace("kind: inbox", "kind: inbox, store: env:INBOX_DATABASE")
    (tmp_path / "onefold.yaml").write_text(text)
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
    for path in (tmp_path / ".onefold").rglob("*"):
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


SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


@SQLITE
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


def test_seal_and_rebuild(onefold, served):
    """seal and rebuild need a tenant that the service knows; seal refuses when the counts are not as expected; rebuild tells what differs."""
    assert onefold("inbox", "seal", "corp")[0] == 5
    assert onefold("inbox", "rebuild", "corp")[0] == 5
    inbox = Inbox(served, ("corp",))
    inbox.caller("corp").user("ada")
    inbox.close()
    assert onefold("inbox", "seal", "corp", "--users", "2")[0] == 5
    code, sealed = onefold("inbox", "seal", "corp", "--users", "1")
    assert (code, sealed["fresh"], sealed["users"]) == (0, True, 1)
    assert onefold("inbox", "seal", "corp")[1]["fresh"] is False
    code, proof = onefold("inbox", "rebuild", "corp")
    assert (code, proof["equal"], proof["events"]) == (0, True, 1)
    told(served, "UPDATE inbox_user SET name = 'eve'")
    code, proof = onefold("inbox", "rebuild", "corp")
    assert (code, proof["equal"], len(proof["differences"])) == (4, False, 1)


def test_a_token_that_ends_is_told_everywhere(onefold, served, capsys):
    """`check` with and without --live, `status` before and after the first run, and the plan of a run name it; `rotate` ends the warning's urgency."""
    _, made = onefold("token", "new", "corp", "--expires", "6d")
    words = f"token {made['token_id']} of tenant corp ends on"

    def said(*arguments):
        main(list(arguments))
        return capsys.readouterr().out

    assert words in said("check")
    inbox = Inbox(served, ("corp", "pool"))
    Caller(inbox, made["token"]).user("ada")
    inbox.close()
    assert f"{made['token_id']} ends on" in said("check", "--live")
    assert onefold("status")[1]["expiries"] == [{"tenant": "corp", "token_id": made["token_id"], "days": 5}]
    assert f"WARNING {words}" in said("status")
    onefold("plan")
    assert words in said("show", "plan")
    assert onefold("status")[1]["expiries"][0]["days"] == 5
    assert f"WARNING {words}" in said("status")
    assert "onefold token rotate corp" in said("status")
    onefold("token", "rotate", "corp")
    assert "onefold token rotate corp" not in said("status")


def test_failed_attempts_are_shown(onefold, served, capsys):
    """`token list` tells from which address how many attempts failed, by day."""
    from connectors.inbox.throttle import save

    inbox = Inbox(served, ("corp",))
    inbox.run(inbox.store.run(save("2026-11-24", {"192.0.2.1": 3}, "2026-01-01")))
    inbox.close()
    failed = {"day": "2026-11-24", "address": "192.0.2.1", "failures": 3}
    assert onefold("token", "list")[1]["failures"] == [failed]
    main(["token", "list"])
    assert "3 failed attempts from 192.0.2.1 on 2026-11-24" in capsys.readouterr().out


@pytest.fixture
def filled(served):
    """An inbox as a first load leaves it: three users, one of them off, one gone; a group with a stranger, an empty one."""
    inbox = Inbox(served, ("corp",))
    corp = inbox.caller("corp")
    ada, bob = corp.user("Ada@corp.example", externalId="1"), corp.user("bob@corp.example", externalId="1")
    corp.user("eve@corp.example", active=False)
    assert corp("DELETE", f"/Users/{corp.user('gone@corp.example')}").status_code == 204
    corp.group("crew", [ada, bob, "never-pushed"])
    corp.group("empty")
    inbox.close()


def test_seal_shows_what_was_pushed(onefold, filled):
    """--show counts everything an administrator asks for, in JSON and in words, and changes nothing."""
    code, shown = onefold("inbox", "seal", "corp", "--show")
    assert (code, shown["sealed"], shown["fresh"]) == (0, False, False)
    last = shown["pushed"].pop("last_push_at")
    assert shown["pushed"] == {
        "users": 3, "active": 2, "inactive": 1, "deleted": 1, "groups": 2, "empty_groups": 1, "memberships": 3,
        "members_never_pushed": 1, "repeated_external_ids": 1,
    }  # fmt: skip
    assert last.startswith("20")
    assert onefold("inbox", "seal", "corp", "--show", "--users", "9")[1]["problems"] == [
        "the inbox holds 3 users, not 9"
    ]
    assert onefold("inbox", "seal", "corp", "--dry-run")[1]["expected"]["users"] is None


def test_seal_says_it_in_words(filled, onefold, capsys):
    """The text names the counts, how long it is quiet, and what to do."""
    assert main(["inbox", "seal", "corp", "--groups", "4"]) == 5
    text = capsys.readouterr().out
    for words in ("filling since", "event 7, quiet for", "of members never pushed", "Not sealed. Wait", "--force"):
        assert words in text
    assert "the inbox holds 2 groups, not 4" in text
    assert main(["inbox", "seal", "corp", "--groups", "2"]) == 0
    assert "Sealed: corp holds 3 users and 2 groups." in capsys.readouterr().out


def test_seal_remembers_what_was_expected(onefold, filled):
    """A count said once holds for later attempts while the inbox is filling; --force goes over it."""
    assert onefold("inbox", "seal", "corp", "--users", "4")[0] == 5
    code, again = onefold("inbox", "seal", "corp")
    assert (code, again["sealed"], again["expected"]["users"]) == (5, False, 4)
    code, forced = onefold("inbox", "seal", "corp", "--force")
    assert (code, forced["sealed"], forced["fresh"]) == (0, True, True)
    assert forced["problems"] == ["the inbox holds 3 users, not 4"]
    assert onefold("inbox", "seal", "corp")[0] == 0


@pytest.mark.parametrize(
    ("export", "differing"),
    [
        ("ADA@corp.example\nbob@corp.example\n", ([], [])),
        ("userPrincipalName\nada@corp.example\n\nbob@corp.example\n", ([], [])),
        ("Login;First name\nada@corp.example;Ada\nzoe@corp.example;Zoe\n", (["zoe@corp.example"], ["bob@corp.example"])),
        ("\ufeffid,User name\n1,ada@corp.example\n2,gone@corp.example\n3,bob@corp.example\n", (["gone@corp.example"], [])),
    ],
)  # fmt: skip
def test_seal_against_an_export(onefold, filled, tmp_path, export, differing):
    """Names of the provider's export, one a line or in a column, without case: who is missing and who is too many; who is off is not."""
    missing, unexpected = differing
    (tmp_path / "export.csv").write_text(export, encoding="utf-8")
    code, shown = onefold("inbox", "seal", "corp", "--expect", "export.csv")
    assert code == (5 if missing or unexpected else 0)
    assert shown["missing"] == {"count": len(missing), "first": missing}
    assert shown["unexpected"] == {"count": len(unexpected), "first": unexpected}


def test_seal_names_the_first_twenty(onefold, filled, tmp_path, capsys):
    """Of many that are missing the first twenty are named and all are counted."""
    (tmp_path / "export.txt").write_text("".join(f"user{place:03}\n" for place in range(45)))
    _, shown = onefold("inbox", "seal", "corp", "--expect", "export.txt")
    assert (shown["missing"]["count"], len(shown["missing"]["first"])) == (45, 20)
    main(["inbox", "seal", "corp", "--expect", "export.txt"])
    assert "user019 and 25 more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("export", "words"),
    [
        (None, "does not exist"),
        ("", "is empty"),
        ("a,b\n1,2\n", "no column of user names"),
        ("userName,b\n1\n", "cells"),
    ],
)
def test_exports_that_cannot_be_read(onefold, filled, tmp_path, export, words):
    """One sentence says what is wrong with the export; nothing is sealed."""
    if export is not None:
        (tmp_path / "export.csv").write_text(export)
    code, told = onefold("inbox", "seal", "corp", "--expect", "export.csv")
    assert (code, words in told["problem"] or words in json.dumps(told["problems"])) == (2, True)
    assert onefold("inbox", "seal", "corp", "--show")[1]["sealed"] is False


@SQLITE
def test_seal_asks_for_whom_it_knew_before(onefold, tmp_path, served):
    """A tenant that was read from files and pushes now: whom Onefold knew and nobody pushed is named, and refused."""
    config = CONFIG.replace("corp: {kind: inbox}", "corp: {kind: files, accounts: {glob: corp.csv}}", 1)
    (tmp_path / "onefold.yaml").write_text(
        config.replace("  pool: {kind: inbox, shared: true, tenants: {corp: {segment: corp}}}\n", "")
    )
    (tmp_path / "corp.csv").write_text(
        "native_id,user_name,email\n1,ada,ada@corp.example\n2,zoe,zoe@corp.example\n3,bob@corp.example,bob@corp.example\n"
    )
    assert onefold("plan")[0] == 0
    (tmp_path / "onefold.yaml").write_text(CONFIG)
    inbox = Inbox(served, ("corp",))
    corp = inbox.caller("corp")
    corp.user("ada@corp.example")
    corp.user("BOB@corp.example")
    inbox.close()
    code, shown = onefold("inbox", "seal", "corp")
    assert (code, shown["not_pushed_again"]) == (5, {"count": 1, "first": ["zoe"]})
    assert onefold("inbox", "seal", "corp", "--force")[1]["fresh"] is True


@SQLITE
@pytest.mark.parametrize(
    ("tenants", "words"),
    [
        ("{hr: {kind: files, accounts: {glob: x.csv}}}", "no tenant of kind inbox"),
        ("{pool: {kind: inbox, shared: true, tenants: {gone: {segment: x}}}}", "tenants.pool.tenants.gone"),
        ("{a: {kind: inbox, store: x}, b: {kind: inbox}}", "different stores"),
        ("{a: {kind: inbox, store: 'postgresql://me:sEcret@db/inbox'}}", "tenants.a.store"),
        ("{a: {kind: inbox, store: 'postgresql://me@db/inbox?password=sEcret'}}", "a literal secret is refused"),
        ("{a: {kind: inbox, store: 'mysql://me@db/inbox'}}", "is no address of PostgreSQL"),
        ("{a: {kind: inbox, shared: true}}", "shared needs tenants"),
        ("{a: {kind: inbox, shared: true, tenants: {b: {}}}, b: {kind: inbox}}", "recognises nothing"),
    ],
)
def test_configs_that_cannot_be_served(onefold, tmp_path, capsys, tenants, words):
    """A config that makes no sense for the inbox is refused with path and remedy."""
    (tmp_path / "onefold.yaml").write_text(f"directory: acme\ntenants: {tenants}\n")
    code = main(["serve", "--port", "0"])
    assert code == 2
    said = capsys.readouterr().err
    assert words in said
    assert "sEcret" not in said


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        (None, (5, "the environment has no INBOX_DATABASE")),
        ("sEcret", (5, "no address of PostgreSQL")),
        ("postgresql://me:sEcret@127.0.0.1:1/inbox", (4, "does not answer")),
        ("postgresql://me:sEcret@127.0.0.1:1/inbox?sslmode=perhaps", (5, "sslmode")),
    ],
)
def test_a_database_that_is_not_there(*, tmp_path, capsys, caplog, monkeypatch, value, ends):
    """A reference to nothing, to no address, or to a database that does not answer is said in a sentence without the secret, by commands and by serve."""
    monkeypatch.chdir(tmp_path)
    store = "{a: {kind: inbox, store: env:INBOX_DATABASE}}"
    (tmp_path / "onefold.yaml").write_text(f"directory: acme\ntenants: {store}\n")
    if value is not None:
        monkeypatch.setenv("INBOX_DATABASE", value)
    for arguments in (["token", "new", "a"], ["serve", "--port", "0"]):
        code, (expected, words) = main(arguments), ends
        said = capsys.readouterr().err + caplog.text
        assert words in said
        assert "sEcret" not in said
        assert code == (5 if arguments[0] == "serve" else expected)


@SQLITE
def test_a_taken_port_and_a_bad_certificate(onefold, tmp_path):
    """serve says in one sentence why it cannot listen."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert onefold("serve", "--port", str(taken.getsockname()[1]))[0] == 5
    (tmp_path / "x.pem").write_text("no certificate")
    code, told = onefold("serve", "--port", "0", "--tls-certificate", "x.pem", "--tls-key", "x.pem")
    assert (code, "TLS certificate" in told["problem"]) == (5, True)
