"""`onefold review`: a human's word on doubtful pairs of accounts. Reads the newest snapshot, never Prefect, and needs no lease."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import RefusedError
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit
from flows.exits import Exit
from flows.open import open_installation

if TYPE_CHECKING:
    from state.snapshot import Snapshot
    from tasks.installation import Installation

review = typer.Typer(name="review", help="Decisions on doubtful pairs of accounts.", no_args_is_help=True)
app.add_typer(review)
ItemsArgument = Annotated[
    list[str], typer.Argument(metavar="ITEM", help="Ids of `review list`, or their first digits.")
]


def _reason(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("say why, in a word at least")
    return text.strip()


WhyOption = Annotated[str, typer.Option("--why", help="Recorded with who and when.", callback=_reason)]
PreviewOption = Annotated[
    bool | None,
    typer.Option(
        "--preview/--no-preview", help="Only tell what would come of it and record nothing; or do not work it out."
    ),
]
Row = dict[str, Any]


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Installation, Snapshot]]:
    from tasks.review import opened

    inst = open_installation(config)
    with opened(inst) as snapshot:
        yield inst, snapshot


@review.command("list")
@command
def listed(  # noqa: PLR0917 - options of a command line
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only pairs with an account of this tenant.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only doubts of this rule.")] = None,
    min_score: Annotated[float | None, typer.Option("--min-score", help="Only doubts at least so strong.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the strongest.")] = 50,
    decided: Annotated[bool, typer.Option("--decided", help="The decisions that stand instead, newest first.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Pairs on which nobody decided yet, strongest first, and decisions that contradict each other."""
    from flows.show_review import decisions_text, list_text
    from tasks import review as steps

    with _opened(config) as (inst, snapshot):
        if decided:
            document = steps.decided(inst, snapshot)
        else:
            document = steps.listing(inst, snapshot, tenant=tenant, rule=rule, min_score=min_score, limit=limit)
        document["snapshot_age_seconds"] = int(snapshot.age_seconds(inst.clock()))
    text = decisions_text(document) if decided else list_text(document)
    emit(document, text, as_json=as_json)
    return Exit.DONE


@review.command("show")
@command
def show(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of `review list`, or its first digits.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Both accounts side by side, what speaks for and against, their persons and users."""
    from flows.show_review import item_text
    from tasks.review import shown

    with _opened(config) as (inst, snapshot):
        document = shown(inst, snapshot, item)
        document["snapshot_age_seconds"] = int(snapshot.age_seconds(inst.clock()))
    emit(document, item_text(document), as_json=as_json)
    return Exit.DONE


@review.command("accept")
@command
def accept(  # noqa: PLR0917 - options of a command line
    items: ItemsArgument,
    why: WhyOption,
    whole: Annotated[
        bool, typer.Option("--whole", help="So are all accounts of their two persons, also where a veto stands.")
    ] = False,
    preview: PreviewOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """The two accounts are one person's."""
    return _judge(items, "same", why=why, whole=whole, preview=preview, config=config, as_json=as_json)


@review.command("reject")
@command
def reject(
    items: ItemsArgument,
    why: WhyOption,
    preview: PreviewOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """The two accounts are two persons'; no key joins them from then on."""
    return _judge(items, "different", why=why, preview=preview, config=config, as_json=as_json)


def _judge(
    items: list[str],
    word: str,
    *,
    why: str,
    preview: bool | None,
    config: Path | None,
    as_json: bool,
    whole: bool = False,
) -> Exit:
    from tasks.review_decide import judge

    with _opened(config) as (inst, snapshot):
        document = judge(inst, snapshot, items, word, who=getpass.getuser(), why=why, preview=preview, whole=whole)
        return _said(document, as_json=as_json)


def _said(document: Row, *, as_json: bool) -> Exit:
    from flows.show_review import said_text

    emit(document, said_text(document), as_json=as_json)
    return Exit.DONE


@review.command("undo")
@command
def undo(
    items: Annotated[
        list[str], typer.Argument(metavar="ITEM|DECISION", help="Of `review list --decided`, or the first digits.")
    ],
    why: WhyOption,
    preview: PreviewOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Takes decisions back: the accounts return to the persons that they were before."""
    from tasks.review_decide import undo as run

    with _opened(config) as (inst, snapshot):
        document = run(inst, snapshot, items, who=getpass.getuser(), why=why, preview=preview)
        return _said(document, as_json=as_json)


@review.command("pin")
@command
def pin(  # noqa: PLR0917 - options of a command line
    one: Annotated[str, typer.Argument(metavar="A", help="An account: tenant/native_id or tenant:name.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    why: WhyOption,
    preview: PreviewOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Any two accounts are one person's, whatever their keys say."""
    from tasks.review_decide import pin as run

    with _opened(config) as (inst, snapshot):
        document = run(inst, snapshot, one, other, who=getpass.getuser(), why=why, preview=preview)
        return _said(document, as_json=as_json)


@review.command("split")
@command
def split(  # noqa: PLR0917 - options of a command line
    who: Annotated[str, typer.Argument(metavar="WHO", help="The person: a name, an address or an id.")],
    account: Annotated[
        list[str], typer.Option("--account", help="Leaves: tenant/native_id or tenant:name; repeatable.")
    ],
    why: WhyOption,
    preview: PreviewOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Parts accounts from a person; they stay together, and so does the rest."""
    from tasks.review_decide import split as run

    with _opened(config) as (inst, snapshot):
        document = run(inst, snapshot, who, account, who=getpass.getuser(), why=why, preview=preview)
        return _said(document, as_json=as_json)


@review.command("export")
@command
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or YAML, by the suffix.")],
    decisions: Annotated[
        bool, typer.Option("--decisions", help="The decisions that stand instead of the open items.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Writes the open items, strongest first: add columns decision and why, and import the file."""
    from tasks.review_files import export as run

    with _opened(config) as (inst, snapshot):
        number = run(inst, snapshot, file, decisions=decisions)
    what = "decisions" if decisions else "open items"
    emit({"file": str(file), "rows": number}, f"Wrote {number:,} {what} to {file}", as_json=as_json)
    return Exit.DONE


@review.command("import")
@command
def take(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or YAML, by the suffix.")],
    preview: PreviewOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Records the decisions of a file, all or none; again, nothing more."""
    from tasks.review import opened
    from tasks.review_files import take as run

    inst = open_installation(config)
    who = getpass.getuser()
    try:
        snapshot = opened(inst)
    except RefusedError:  # nothing was read yet: decisions kept in git come before the first run
        document = run(inst, None, file, who=who, preview=preview)
    else:
        with snapshot:
            document = run(inst, snapshot, file, who=who, preview=preview)
    return _said(document, as_json=as_json)
