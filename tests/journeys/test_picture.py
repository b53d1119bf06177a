"""Planning reads no more columns of accounts than it looks at, and none fewer."""

from tasks.installation import load
from tasks.picture import LOOKED_AT, account_columns

TENANT = "directory: d\ntenants:\n  hr: {{kind: files, accounts: {{glob: '*.csv'}}{more}}}\n{rest}"


def columns_of(folder, more="", rest=""):
    (folder / "onefold.yaml").write_text(TENANT.format(more=more, rest=rest))
    return account_columns(load(folder / "onefold.yaml"))


def test_expressions_over_accounts_name_their_columns(tmp_path):
    """Columns that include, exclude or scope name are read beside planning's own, in any case; others are not."""
    assert columns_of(tmp_path) == LOOKED_AT
    include = """, include: "ACCOUNT.Department = 'x' and account.title is not null\""""
    assert columns_of(tmp_path, include) == LOOKED_AT | {"department", "title"}
    assert columns_of(tmp_path, rest='scope: "account.company = person.location"\n') == LOOKED_AT | {
        "company",
        "location",  # of the person; one column more costs nothing but memory
    }


def test_words_of_persons_alone_read_nothing_more(tmp_path):
    """What is said of persons is no reason to read a column of accounts."""
    assert columns_of(tmp_path, rest="map: {user_name: \"split_part(person.email, '@', 1)\"}\n") == LOOKED_AT
