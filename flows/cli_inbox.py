"""Commands of the SCIM inbox: serve, token, inbox."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from core.errors import ConfigError, Problem
from core.settings import Span
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit, table
from flows.exits import Exit
from flows.open import open_installation
from tasks.inbox_config import inbox_store, inbox_tenants

if TYPE_CHECKING:
    from connectors.inbox.stores import Where
    from connectors.inbox.tokens import Minted
    from flows.soon import Soon
    from tasks.installation import Installation

token = typer.Typer(name="token", help="Bearer tokens of tenants that push SCIM.", no_args_is_help=True)
inbox = typer.Typer(name="inbox", help="The store of what was pushed.", no_args_is_help=True)
app.add_typer(token)
app.add_typer(inbox)

TenantArgument = Annotated[str, typer.Argument(help="A tenant of kind inbox.")]
ExpiresOption = Annotated[str | None, typer.Option("--expires", help="How long it lives: 365d. Default: for ever.")]
NetworkOption = Annotated[
    list[str] | None, typer.Option("--network", help="Source network (CIDR) that may use it; may be repeated.")
]
NoteOption = Annotated[str, typer.Option("--note", help="Where it is kept, for whoever rotates it.")]


def _opened(config: Path | None, tenant: str | None = None) -> tuple[Installation, Where]:
    inst = open_installation(config)
    tenants = inbox_tenants(inst)
    if tenant is not None and tenant not in tenants:
        known = ", ".join(sorted(tenants))
        raise ConfigError([Problem(f"tenants.{tenant}", "is no tenant of kind inbox", f"Choose one of: {known}")])
    return inst, inbox_store(inst)


def _span(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return TypeAdapter(Span).validate_python(text)
    except ValidationError as error:
        raise typer.BadParameter("write a span as a number and a unit: 12h, 7d, 365d") from error


@app.command("serve")
@command
def serve(
    *,
    config: ConfigOption = None,
    host: Annotated[
        str, typer.Option("--host", envvar="ONEFOLD_INBOX_HOST", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", envvar="ONEFOLD_INBOX_PORT", help="0: any free one.")] = 8085,
    certificate: Annotated[Path | None, typer.Option("--tls-certificate", help="PEM file with the chain.")] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option("--tls-client-ca", help="Ask clients for a certificate of this authority.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option("--trusted-proxy", help="Address or network whose X-Forwarded-* are believed.")
    ] = None,
    public_url: Annotated[
        str | None, typer.Option("--public-url", help="What clients see before /scim/v2; default: as they ask.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No access log.")] = False,
    runs: Annotated[
        bool,
        typer.Option("--sync/--no-sync", help="Run a sync soon after a push, here; else only Prefect is told of it."),
    ] = True,
    as_json: JsonOption = False,
) -> Exit:
    """Answers identity providers that push SCIM 2.0, until it is told to stop. Soon after a push it runs a sync."""
    from connectors.inbox.server import Serving
    from connectors.inbox.server import serve as run

    inst, place = _opened(config)
    if client_ca is not None and certificate is None:
        raise typer.BadParameter("--tls-client-ca needs --tls-certificate")
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    serving = Serving(
        host,
        port,
        certificate,
        key,
        client_ca=client_ca,
        trusted_proxies=tuple(trusted_proxy or ()),
        public_url=public_url,
        keep_days=inst.config.settings.keep.inbox_days,
        access_log=not quiet,
    )
    retired = {name for name, each in inst.config.tenants.items() if each.common.retired}
    tenants = {name: each for name, each in inbox_tenants(inst).items() if name not in retired}

    soon = _soon(inst, runs=runs)

    def announce(url: str) -> None:
        line = json.dumps({"url": url, "tenants": sorted(tenants)})
        sys.stdout.write((line if as_json else f"SCIM at {url} for {', '.join(sorted(tenants))}") + "\n")
        sys.stdout.flush()

    watches = soon.command is not None  # without a runner each process tells Prefect of its own writes
    run(place, tenants, serving, on_moved=soon.moved, beside=[soon.run], watches=watches, announce=announce)
    return Exit.DONE


def _soon(inst: Installation, *, runs: bool) -> Soon:
    """What starts a sync after a push: the warm runner where there is a target to write to, else Prefect alone."""
    from flows.prefect_api import PrefectApi
    from flows.soon import Soon, runner
    from flows.windows import Patience, Windows

    asked = inst.config.settings.run.after_push
    patience = Patience(
        asked.reduction.total_seconds(), asked.quiet.total_seconds(), max(asked.most, asked.quiet).total_seconds()
    )
    command = runner(str(inst.path)) if runs and inst.config.targets else None
    return Soon(command, inst.config.settings.directory, Windows(patience), PrefectApi.configured())


def _told(made: Minted, ended: list[str], *, as_json: bool) -> None:
    text = f"{made.text}\n\nToken {made.token_id} of tenant {made.tenant}. It is shown this once; keep it where the provider is set up."
    if made.expires_at:
        text += f"\nIt ends on {made.expires_at[:10]}."
    document = {
        "tenant": made.tenant,
        "token_id": made.token_id,
        "token": made.text,
        "expires_at": made.expires_at,
        "ending": ended,
    }
    emit(document, text, as_json=as_json)


@token.command("new")
@command
def token_new(
    tenant: TenantArgument,
    *,
    expires: ExpiresOption = None,
    network: NetworkOption = None,
    note: NoteOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Makes a token and shows it, once."""
    from connectors.inbox.desk import desk
    from connectors.inbox.tokens import mint

    _, place = _opened(config, tenant)
    networks = _networks(network)
    with desk(place) as open_desk:
        made = open_desk.do(mint(tenant, now=_now(), expires=_span(expires), networks=networks or (), note=note))
    _told(made, [], as_json=as_json)
    return Exit.DONE


@token.command("list")
@command
def token_list(
    tenant: Annotated[str | None, typer.Argument(help="Only this tenant's.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Shows who has which tokens, never their texts; warns of those that end soon."""
    from connectors.inbox.clock import stamp
    from connectors.inbox.desk import desk
    from connectors.inbox.tokens import all_tokens, expiring

    _, place = _opened(config, tenant)
    with desk(place) as open_desk:
        tokens, failures = open_desk.ask(all_tokens(tenant)), open_desk.failures()
    now = stamp(_now())
    warnings = expiring(tokens, _now())
    rows = [
        [
            t.tenant,
            t.token_id,
            t.state(now),
            t.created_at[:10],
            (t.expires_at or "-")[:10],
            (t.used_at or "-")[:16],
            t.note,
        ]
        for t in tokens
    ]
    text = table(rows, ["tenant", "token", "state", "made", "ends", "used", "note"]) if rows else "No token yet."
    for each in warnings:
        hint = f"; run onefold token rotate {each.tenant}" if each.last else ""
        text += f"\nWARNING {each.token_id} of {each.tenant} {each.words}{hint}"
    for day, address, many in failures:
        text += f"\n{many} failed attempts from {address} on {day}"
    listed = [
        {
            "tenant": t.tenant,
            "token_id": t.token_id,
            "state": t.state(now),
            "created_at": t.created_at,
            "expires_at": t.expires_at,
            "revoked_at": t.revoked_at,
            "used_at": t.used_at,
            "networks": list(t.networks),
            "note": t.note,
        }
        for t in tokens
    ]
    told = [{"token_id": e.token_id, "tenant": e.tenant, "days": e.days, "stage": e.stage} for e in warnings]
    failed = [{"day": day, "address": address, "failures": many} for day, address, many in failures]
    emit({"tokens": listed, "warnings": told, "failures": failed}, text, as_json=as_json)
    return Exit.DONE


@token.command("rotate")
@command
def token_rotate(
    tenant: TenantArgument,
    *,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old ones stay valid.")] = "7d",
    expires: ExpiresOption = None,
    network: NetworkOption = None,
    note: NoteOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Makes a fresh token; those valid until now end after the overlap."""
    from connectors.inbox.desk import desk
    from connectors.inbox.tokens import rotate

    _, place = _opened(config, tenant)
    networks, until = _networks(network), _span(overlap) or timedelta()
    with desk(place) as open_desk:
        operation = rotate(tenant, now=_now(), overlap=until, expires=_span(expires), networks=networks, note=note)
        made, ended = open_desk.do(operation)
    _told(made, ended, as_json=as_json)
    return Exit.DONE


@token.command("revoke")
@command
def token_revoke(
    tenant: TenantArgument,
    token_id: Annotated[str | None, typer.Argument(help="Only this one; default: all of the tenant.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Ends tokens at once."""
    from connectors.inbox.desk import desk
    from connectors.inbox.tokens import revoke

    _, place = _opened(config, tenant)
    with desk(place) as open_desk:
        ended = open_desk.do(revoke(tenant, token_id, now=_now()))
    if token_id is not None and not ended:
        raise ConfigError([Problem(token_id, "is no living token of this tenant", f"See: onefold token list {tenant}")])
    emit({"tenant": tenant, "revoked": ended}, f"Revoked: {', '.join(ended) or 'none was valid'}", as_json=as_json)
    return Exit.DONE


@inbox.command("seal")
@command
def inbox_seal(
    tenant: TenantArgument,
    *,
    users: Annotated[
        int | None, typer.Option("--users", help="So many users are expected, no more and no fewer.")
    ] = None,
    groups: Annotated[int | None, typer.Option("--groups", help="The same for groups.")] = None,
    expect: Annotated[
        Path | None, typer.Option("--expect", help="The provider's export of user names: CSV, or one a line.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Seal although something is not as expected.")] = False,
    show: Annotated[bool, typer.Option("--show", "--dry-run", help="Only show; change nothing.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Says that the first load is over: from now on removals that are pushed count. Shows what was pushed against what is expected."""
    from connectors.inbox.desk import desk
    from connectors.inbox.pushed import expect as remembered
    from connectors.inbox.pushed import pushed
    from flows.seal_text import seal_text
    from tasks.sealing import compare, expected_of

    inst, place = _opened(config, tenant)
    with desk(place) as open_desk:
        before = open_desk.status(tenant)
        held = open_desk.ask(pushed(before))
        wanted = expected_of(inst, before, held, users=users, groups=groups, file=expect)
        found = compare(held, wanted)
        refused = bool(found.problems) and not force
        if not show and before.sealed_at is None:
            open_desk.do(remembered(before.tenant_no, wanted.users, wanted.groups))
        fresh = not (show or refused) and open_desk.seal(tenant)[1]
    sealed = fresh or before.sealed_at is not None
    text = seal_text(before, found, now=_now(), sealed=sealed and not refused, fresh=fresh)
    emit({"tenant": tenant, "sealed": sealed, "fresh": fresh, **found.document()}, text, as_json=as_json)
    return Exit.REFUSED if refused and not show else Exit.DONE


@inbox.command("rebuild")
@command
def inbox_rebuild(tenant: TenantArgument, config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Replays the log over the checkpoint and says whether that gives exactly the live state; changes nothing."""
    from connectors.inbox.checkpoint import rebuild
    from connectors.inbox.desk import desk

    _, place = _opened(config, tenant)
    with desk(place) as open_desk:
        open_desk.status(tenant)
    proof = rebuild(place, tenant)
    document = {
        "tenant": tenant,
        "equal": proof.equal,
        "checkpoint": proof.checkpoint_seq,
        "events": proof.events,
        "watermark": proof.seq,
        "users": proof.users,
        "groups": proof.groups,
        "differences": list(proof.differences),
    }
    text = f"{tenant}: checkpoint {proof.checkpoint_seq} and {proof.events} events give {proof.users} users and {proof.groups} groups, "
    text += "exactly the live state." if proof.equal else "NOT the live state:\n  " + "\n  ".join(proof.differences)
    emit(document, text, as_json=as_json)
    return Exit.DONE if proof.equal else Exit.FAILED


def _networks(given: list[str] | None) -> list[str] | None:
    """Checked networks; None when none is given."""
    from ipaddress import ip_network

    for each in given or ():
        try:
            ip_network(each.strip(), strict=False)
        except ValueError as error:
            raise typer.BadParameter(f"{each} is no network; write it as 198.51.100.0/24") from error
    return given or None


def _now() -> datetime:
    return datetime.now(UTC)
