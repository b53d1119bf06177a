"""Normalising: one comparison form for every spelling of the same thing, and none for what is no identity."""

import base64
import uuid

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.frames import ACCOUNT, conform
from core.normalise import NORMALISED, normalise, normalised_domain

GUID = uuid.UUID("12345678-9abc-def0-1122-334455667788")


def one(column, value, name):
    accounts = conform(pl.DataFrame({"account_key": [1], column: [value]}, strict=False), ACCOUNT)
    return normalise(accounts).get_column(name)[0]


@pytest.mark.parametrize(
    "spelling",
    [
        "ada@corp.example",
        " Ada@Corp.Example ",
        "SMTP:ada@corp.example",
        "smtp:ADA@corp.example",
        "ad\u200ba@corp.example",
        "\uff41da@corp.example",
        "mailto:ada@corp.example",
    ],
)
def test_spellings_of_one_address_are_equal(spelling):
    """Case, blanks, prefixes, invisible and full-width characters make no other address."""
    assert one("email", spelling, "n_email") == "ada@corp.example"


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "none",
        "x500:/o=corp",
        "sip:ada@corp.example",
        "ada_corp.example#EXT#@b.example",
        "test@corp.example",
        "noreply@corp.example",
        "ada@corp",
        "a b@corp.example",
        "ada@@corp.example",
        "@corp.example",
    ],
)
def test_what_is_no_mailbox_of_a_human_is_no_address(value):
    """Placeholders, other schemes and guests' logins join nobody."""
    assert one("email", value, "n_email") is None


def test_international_domains_have_one_form():
    """A domain in Unicode and the same in ASCII are equal, whatever the normal form of the input."""
    assert one("email", "ada@MÜLLER.example", "n_email") == "ada@xn--mller-kva.example"
    assert one("email", "ada@mu\u0308ller.example", "n_domain") == "xn--mller-kva.example"
    assert normalised_domain("Müller.example") == "xn--mller-kva.example"


def test_case_is_folded_not_lowered():
    """Letters whose case folding is not their lower case are folded as Python folds them; the dotless i stays another letter."""
    assert one("user_name", "STRASSE", "n_user_name") == one("user_name", "Straße", "n_user_name")
    assert one("user_name", "ΟΔΟΣ", "n_user_name") == one("user_name", "οδος", "n_user_name")
    assert one("user_name", "\u0131", "n_user_name") != one("user_name", "i", "n_user_name")


@pytest.mark.parametrize("value", ["7", "007", " 7 ", "7.0", "0007.00", "\uff17"])
def test_spreadsheets_do_not_change_a_number(value):
    """Lost or added zeros, a float's tail and full-width digits are the same HR number."""
    assert one("employee_number", value, "n_employee_number") == "7"


@pytest.mark.parametrize("value", ["", "0", "0000", "9999", "999999", "N/A", "none", "-", "TBD"])
def test_placeholders_are_no_number(value):
    """What forms are filled with when nobody knows identifies nobody."""
    assert one("employee_number", value, "n_employee_number") is None


def test_immutable_ids_are_compared_as_bytes():
    """objectGUID as base64 with and without padding, as GUID text, as hex in either byte order: one value."""
    encoded = base64.b64encode(GUID.bytes_le).decode()
    spellings = [
        encoded,
        encoded.rstrip("="),
        str(GUID),
        f"{{{str(GUID).upper()}}}",
        GUID.bytes_le.hex(),
        GUID.bytes.hex().upper(),
        " ".join(f"{byte:02X}" for byte in GUID.bytes_le),
    ]
    forms = {one("immutable_id", spelling, "n_immutable_id") for spelling in spellings}
    assert forms == {min(GUID.bytes.hex(), GUID.bytes_le.hex())}


def test_other_immutable_ids_keep_their_case():
    """Base64 of other lengths differs by case, so text that is no GUID is its bytes."""
    assert one("immutable_id", "AbC", "n_immutable_id") == b"AbC".hex()
    assert one("immutable_id", "abc", "n_immutable_id") != one("immutable_id", "AbC", "n_immutable_id")
    assert one("immutable_id", "00000000-0000-0000-0000-000000000000", "n_immutable_id") is None


def test_aliases_keep_their_account():
    """Aliases that are no addresses fall out; accounts without any have none; the order of rows is kept."""
    accounts = conform(
        pl.DataFrame({"account_key": [3, 1, 2], "aliases": [["SMTP:A@b.example", "x"], None, ["sip:c@d.example"]]}),
        ACCOUNT,
    )
    found = normalise(accounts)
    assert found.schema == pl.Schema(NORMALISED)
    assert found.select("account_key", "n_aliases").rows() == [(3, ["a@b.example"]), (1, None), (2, None)]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_normalising_twice_is_normalising_once(texts):
    """The comparison form of a comparison form is itself, for any text, and equals Python's folding of ASCII."""
    accounts = conform(
        pl.DataFrame({"account_key": range(len(texts)), "user_name": texts, "email": texts, "employee_number": texts}),
        ACCOUNT,
    )
    once = normalise(accounts)
    again = normalise(
        accounts.with_columns(
            user_name=once["n_user_name"], email=once["n_email"], employee_number=once["n_employee_number"]
        )
    )
    assert again["n_user_name"].to_list() == once["n_user_name"].to_list()
    assert again["n_email"].to_list() == once["n_email"].to_list()
    for text, form in zip(texts, once["n_user_name"], strict=True):
        if text.isascii() and text.isprintable():
            assert form == (text.strip().casefold() or None)
