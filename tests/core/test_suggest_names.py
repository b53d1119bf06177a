"""The forms in which names are compared: transliteration, umlauts, nicknames, sounds, display names."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.nicknames import LINES, roots
from core.suggest_names import family_key, keyed, latin, parted, sound


def one(function, value):
    return function(pl.Series([value], dtype=pl.String))[0]


def keyed_word(word):
    return keyed(latin(pl.Series([word])))[0]


@pytest.mark.parametrize(
    "spellings",
    [
        ("Müller", "Mueller", "Muller", "MÜLLER"),
        ("Юлия", "Yulia", "Yuliya", "Julia", "Iulia"),
        ("Wójcik", "Wojcik"),
        ("Søren", "Soeren", "Soren"),
        ("Åse", "Aase", "Ase"),
        ("Weiß", "Weiss"),
        ("Łukasz", "Lukasz"),
        ("İpek", "Ipek"),
        ("Nguyễn", "Nguyen"),
        ("Владимир", "Vladimir", "Wladimir"),
        ("Παπαδάκης", "Papadakis"),
        ("O'Brien", "O\u2019Brien", "Obrien"),
        ("王", "Wang"),
        ("Mu\u0308ller", "Müller"),
        ("\uff2d\uff35\uff2c\uff2c\uff25\uff32", "Muller"),
    ],
)
def test_spellings_of_one_name_have_one_key(spellings):
    """Umlauts, scripts, case, composition, width and apostrophes do not tell two humans apart."""
    assert len({one(lambda values: keyed(latin(values)), each) for each in spellings}) == 1


@pytest.mark.parametrize(("one_name", "other"), [("Meyer", "Maier"), ("Anna", "Anton"), ("Berg", "Bergmann")])
def test_other_names_keep_other_keys(one_name, other):
    """The key does not make different names one."""
    assert keyed_word(one_name) != keyed_word(other)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("Bob", "Robert"), ("Bill", "William"), ("Peggy", "Margaret"), ("Sasha", "Alexander"), ("Sasha", "Alexandra"),
        ("Pepe", "José"), ("Kasia", "Katarzyna"), ("Катя", "Ekaterina"), ("Jörg", "George"), ("Beppe", "Giuseppe"),
        ("Yusuf", "Joseph"), ("Mehmet", "Mohammed"), ("Dick", "Richard"), ("Misha", "Mikhail"), ("Юлия", "Giulia"),
    ],
)  # fmt: skip
def test_nicknames_meet_their_names(short, long):
    """A short or foreign form shares a line of the table with the full name."""
    assert set(roots()[keyed_word(short)]) & set(roots()[keyed_word(long)])


@pytest.mark.parametrize(("one_name", "other"), [("Bob", "William"), ("Anna", "Maria"), ("Peter", "Paul")])
def test_nicknames_keep_names_apart(one_name, other):
    """Two names that call different humans share no line."""
    assert not set(roots()[keyed_word(one_name)]) & set(roots()[keyed_word(other)])


def test_every_word_of_the_table_is_found():
    """No line of the table is lost, and no line stands alone."""
    for number, line in enumerate(LINES):
        assert len(line.split()) > 1, line
        assert all(number in roots()[keyed_word(word)] for word in line.split()), line


@pytest.mark.parametrize(
    ("one_name", "other"), [("Schmidt", "Schmitt"), ("Meyer", "Maier"), ("Philipp", "Filip"), ("Kowalsky", "Kowalski")]
)
def test_names_that_sound_alike(one_name, other):
    """What is heard alike is blocked together."""
    assert one(sound, keyed_word(one_name)) == one(sound, keyed_word(other))


@pytest.mark.parametrize(
    ("shown", "given_name", "family_name"),
    [
        ("Ada Lovelace", "ada", "lovelace"),
        ("Lovelace, Ada", "ada", "lovelace"),
        ("Müller, Dr. Jörg (External)", "jorg", "muller"),
        ("Ludwig van der Berg", "ludwig", "van der berg"),
        ("Anna Maria Costa - Contractor", "anna maria", "costa"),
        ("王伟", "wang", "wei"),
        ("Madonna", None, "madonna"),
        ("(External)", None, None),
        (None, None, None),
    ],
)
def test_display_names_come_apart(shown, given_name, family_name):
    """Both orders, titles, brackets, particles and scripts without blanks are understood."""
    assert parted(pl.Series([shown], dtype=pl.String)).row(0) == (given_name, family_name)


@pytest.mark.parametrize(
    ("full", "bare"),
    [("van der berg", "berg"), ("de", "de"), ("ortega y gasset", "ortega gaset"), ("smith jones", "smith iones")],
)
def test_particles_of_family_names_do_not_count(full, bare):
    """`van der` comes and goes; a name that is nothing else stays."""
    assert one(family_key, full) == bare


@given(st.lists(st.text(max_size=20) | st.none(), max_size=8))
def test_any_text_becomes_a_key_or_null(values):
    """No text raises; what is left is lower-case ASCII, and the key of a key is itself."""
    series = pl.Series(values, dtype=pl.String)
    plain = latin(series)
    keys = keyed(plain)
    assert len(plain) == len(keys) == len(sound(keys)) == len(parted(series)) == len(values)
    for text, key in zip(plain, keys, strict=True):
        assert text is None or (text.isascii() and text == text.strip().lower() and text)
        assert key is None or one(keyed, key) == key
