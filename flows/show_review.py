"""What `onefold review` says on a terminal. The documents are made in `tasks`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.render import plain
from flows.console import table

Row = dict[str, Any]
SHOWN = 20  # of what a whole file says; JSON has it all


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return plain(", ".join(map(str, value)) if isinstance(value, list) else value)


def _account(account: Row) -> str:
    state = "gone" if account["gone"] else "active" if account["active"] is not False else "inactive"
    words = [account["user_name"], account["email"], account["display_name"] and f'"{account["display_name"]}"']
    named = "  ".join(_shown(word) for word in words if word)
    kind = ", ".join(_shown(word) for word in (account["user_type"], state, account["status"]) if word)
    return f"{account['tenant']}/{_shown(account['native_id'])}  {named}  ({kind})"


def list_text(document: Row) -> str:
    """Open items as blocks, strongest first, after what is wrong with decisions."""
    lines = []
    for each in document["contradictions"]:
        lines.append(f"CONTRADICTION  {_shown(each['problem'])}")
        lines.append(f"  end it: onefold review undo {each['different']['item'][:8]} --why …")
    lines += [f"NOT HONOURED  {each['item'][:8]}  {_shown(each['reason'])}" for each in document["not_honoured"]]
    for each in document["items"]:
        score = f"{each['score']:.2f}" if each["score"] is not None else "-"
        lines.append(f"{each['item'][:8]}  {score}  {each['rule']}  {_shown(each['reason'])}")
        lines += [f"    {_account(each[side])}" for side in ("a", "b")]
        lines += [f"    if accepted: {_shown(line)}" for line in each["if_accepted"]]
    number, shown = document["open"], document["shown"]
    lines.append(f"{number:,} open, {shown:,} shown, {document['decided']:,} decided" if number else _nothing(document))
    if document["waiting"]:
        lines.append(f"{len(document['waiting']):,} decisions wait for an account that was never read")
    if number:
        lines.append("Next: onefold review show ITEM | accept ITEM --why … | reject ITEM --why …")
    return "\n".join(lines)


def _nothing(document: Row) -> str:
    return f"Nothing to review; {document['decided']:,} decided (onefold review list --decided)"


def decisions_text(document: Row) -> str:
    """The decisions that stand."""
    header = ["item", "decision", "account", "account", "decided_by", "decided_at", "why"]
    cells = [
        [
            each["item"][:8],
            each["decision"] + (", waits" if each["waiting"] else ""),
            f"{each['tenant_a']}/{_shown(each['native_id_a'])}",
            f"{each['tenant_b']}/{_shown(each['native_id_b'])}",
            _shown(each["decided_by"]),
            _shown(each["decided_at"]),
            _shown(each["why"]),
        ]
        for each in document["decisions"]
    ]
    return table(cells, header) if cells else "Nothing is decided."


def item_text(document: Row) -> str:
    """One item with all that is known of it."""
    if document["waiting"]:
        names = " and ".join(
            f"{document[f'tenant_{side}']}/{_shown(document[f'native_id_{side}'])}" for side in ("a", "b")
        )
        return "\n".join([f"ITEM {document['item'][:8]}  {names}: one of them was never read", *_words(document)])
    score = f"  {document['score']:.2f}" if document["score"] is not None else ""
    what = f"{score}  {document['rule']}  {_shown(document['reason'])}" if document["rule"] else "  no doubt any more"
    lines = [f"ITEM {document['item'][:8]}{what}"]
    sides = [f"{document[side]['tenant']}/{_shown(document[side]['native_id'])}" for side in ("a", "b")]
    agree = {True: "=", False: "differs", None: ""}
    cells = [
        [each["name"], agree[each["agrees"]], _shown(each["a"]), _shown(each["b"])] for each in document["attributes"]
    ]
    lines.append(table(cells, ["attribute", "", *sides]))
    if document["waterfall"]:
        lines += ["WATERFALL", *_waterfall(document["waterfall"])]
    for person in document["persons"]:
        lines.append(f"PERSON {_shown(person['person_id'])}")
        for each in person["accounts"]:
            why = f"{_shown(each['rule'])}{': ' + _shown(each['evidence']) if each['evidence'] else ''}"
            lines.append(f"  {_account(each)}  by {why}")
        lines += [
            f"  {each['target']}: {_shown(each['user_name'])} ({'active' if each['active'] else 'inactive'}{'' if each['owned'] else ', not ours'})"
            for each in person["users"]
        ]
    lines += [
        f"ALSO BETWEEN THEM  {each['item'][:8]}  {each['rule']}  {_shown(each['reason'])}"
        for each in document["between"]
    ]
    lines += _words(document)
    lines += [f"IF ACCEPTED  {_shown(line)}" for line in document["if_accepted"]]
    return "\n".join(lines)


def _waterfall(steps: object) -> list[str]:
    """A list of steps as a table, whatever fields they have; anything else as it is."""
    if isinstance(steps, list) and steps and all(isinstance(each, dict) for each in steps):
        header = list(dict.fromkeys(name for each in steps for name in each))
        return [table([[_shown(each.get(name)) for name in header] for each in steps], header)]
    return [f"  {_shown(steps)}"]


def _words(document: Row) -> list[str]:
    return [
        f"DECIDED {each['decision']} by {_shown(each['decided_by'])} on {_shown(each['decided_at'])}: {_shown(each['why'])}"
        for each in document["decisions"]
    ]


def said_text(document: Row) -> str:
    """What was recorded, and what the next plan would make of it."""
    lines = []
    for name, says in (("recorded", "Recorded"), ("would_record", "Would record")):
        lines += [f"{says} {_word(each)}" for each in document[name][:SHOWN]]
        if len(document[name]) > SHOWN:
            lines.append(f"and {len(document[name]) - SHOWN:,} more: --json lists them all")
    if document["unchanged"]:
        lines.append(f"{len(document['unchanged']):,} say what stands already; nothing is added.")
    if document.get("undecided"):
        lines.append(f"{document['undecided']:,} rows hold no decision and are left out.")
    lines += [f"Waits until its account is read: {_word(each)}" for each in document["waiting"][:SHOWN]]
    if len(document["waiting"]) > SHOWN:
        lines.append(f"and {len(document['waiting']) - SHOWN:,} more wait")
    if document["persons"] is not None:
        shown = document["persons"][:SHOWN]
        lines += [line for each in shown for line in _person(each)] or ["No person would change."]
        if len(document["persons"]) > SHOWN:
            lines.append(f"and {len(document['persons']) - SHOWN:,} more persons: --json lists them all")
    lines.append("Next: onefold plan")
    return "\n".join(lines)


def _word(each: Row) -> str:
    names = [f"{each[f'tenant_{side}']}/{_shown(each[f'native_id_{side}'])}" for side in ("a", "b")]
    return f"{each['item'][:8]}: {names[0]} and {names[1]} are {each['decision']}"


def _person(person: Row) -> list[str]:
    what = "ENDS" if person["ends"] else "BEGINS" if person["begins"] else "CHANGES"
    lines = [f"{what}  {person['person_id']}  {_shown(person['name'])}"]
    for mark, where in (("gains", "from_person"), ("loses", "to_person")):
        lines += [
            f"  {mark} {each['tenant']}/{_shown(each['native_id'])} {_shown(each['user_name'])}, {where[:-7]} {each[where]}"
            for each in person[mark]
        ]
    return lines + [
        f"  {each['target']}: {_shown(each['user_name'])} {'stays in line' if each['kept_in_line'] else 'is only deactivated when the person leaves'}"
        for each in person["users"]
    ]
