"""Hostile values for the inbox's campaign: texts, JSON of every shape, filters, PATCH operations; drawn from one seeded source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random

PERSON = "pers0na"  # is in every name that the campaign sends, and must be in no log
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ATTRIBUTES = (
    "userName", "displayName", "active", "emails", "name", "manager", "members", "externalId", "groups", "password", "id", "meta",
    "schemas", "title", "nickName", "phoneNumbers", "addresses", "roles", "x509Certificates", "ims", "photos", "entitlements",
    "profileUrl", "preferredLanguage", "locale", "timezone", "userType", "employeeNumber", "department", ENTERPRISE,
    "name.givenName", "name.familyName", "emails.value", 'emails[type eq "work"].value', 'emails[type eq "work"]', "meta.created",
    "meta.lastModified", f"{ENTERPRISE}:manager", f"{ENTERPRISE}:employeeNumber", "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    "urn:ietf:params:scim:schemas:core:2.0:Group:members", 'members[value eq "x"]', 'addresses[type eq "work"].country', "manager.value",
    "urn:example:unknown:2.0:User:colour", "colour", "$ref", "name.", ".name", "emails[", "emails[]", "emails[type]", "urn:", "",
    'roles[primary eq "True"].value', 'members[value eq "a" or value eq "b"]', 'emails[type eq "work"].value.x', "NAME.GIVENNAME",
)  # fmt: skip
LITERALS = (
    b"null", b"true", b"false", b"0", b"-0", b"-1", b"1e5", b"1.5", b"1e308", b"1e999", b"-1e999", b"NaN", b"Infinity", b"-Infinity",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"9" * 400, b"9" * 5000, b"1" + b"0" * 30, b"0.1e-400",
    b"01", b"+1", b".5", b"0x10", b"'text'", b"undefined", b"True", b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xf4\x90\x80\x80"',
    b'"\xc0\x80"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"a\\u0000b"', b'"a\x00b"', b'"\x01"', b'"\\x41"', b'"\\u12"',
    b'"open', b"[", b"{", b"]", b"}", b"", b" ", b'"\xef\xbb\xbf"', b'"\\/"', b'"\\u200b"', b"/* */1",
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "\t", "null", "True", "FALSE", "0", "İ", "ß", "ﬁ", "K", "ẞ", "é", "é", "\u200b", "\u202e", "🧑\u200d🚒", "中村", "%", "_", "'", '"',
    "\\", "'; DROP TABLE inbox_user; --", "${x}", "{{7*7}}", "<script>", "a\nb", "a\rb", "../..", "urn:", "@", "a@b@c", "\u2028", "\U0010ffff",
    "\ufffe", "2026-11-25T00:00:00Z", 'W/"1"', "*", "(", "[", "x" * 1024, "x" * 1025, "İ" * 600,
)  # fmt: skip
OPERATORS = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "EQ", "in", "")
OPS = ("add", "replace", "remove", "Add", "Replace", "Remove", "REMOVE", "move", "", None, 5, ["add"])


@dataclass
class Words:
    """Everything random of one round. `ids`: of records that may be spoken of; equal seeds give equal words for equal answers."""

    random: Random
    ids: list[str] = field(default_factory=list)

    def chance(self, share: float) -> bool:
        """True that often."""
        return self.random.random() < share

    def pick(self, choices):
        """One of them."""
        return choices[self.random.randrange(len(choices))]

    def name(self) -> str:
        """A user name: one of few, so that they meet, in other case now and then."""
        made = f"{PERSON}{self.random.randrange(90)}@{self.pick(('corp', 'west'))}.example"
        return made.upper() if self.chance(0.1) else made

    def text(self) -> str:
        """A person's word, or something odd, rarely long."""
        if self.chance(0.5):
            return self.name()
        if self.chance(0.02):
            return "y" * self.random.choice((2049, 65_536, 65_537))
        return self.pick(ODD_TEXTS) + (PERSON if self.chance(0.3) else "")

    def some_id(self) -> str:
        """An id that is there, mostly."""
        return self.pick(self.ids) if self.ids and self.chance(0.85) else self.text()

    def value(self, depth: int = 0) -> bytes:
        """JSON text of any value, valid or not."""
        dice = self.random.random()
        if dice < 0.08:
            return self.pick(LITERALS)
        if dice < 0.55 or depth > 3:
            return self.pick(
                (b"true", b"false", b"null", b'"True"', b'"False"', b'""', self.quoted(self.text()), self.quoted(self.some_id()))
            )  # fmt: skip
        if dice < 0.75:
            return b"[" + b",".join(self.value(depth + 1) for _ in range(self.random.randrange(4))) + b"]"
        return self.object(
            [
                (self.pick(("value", "type", "primary", "$ref", "display", "VALUE", *ATTRIBUTES[:20])), self.value(depth + 1))
                for _ in range(self.random.randrange(4))
            ]
        )  # fmt: skip

    def quoted(self, text: str) -> bytes:
        """A JSON string, in UTF-8 or in escapes."""
        return json.dumps(text, ensure_ascii=self.chance(0.5)).encode(errors="surrogatepass")

    def object(self, pairs) -> bytes:
        """A JSON object; a key is doubled now and then."""
        if pairs and self.chance(0.03):
            pairs = [*pairs, pairs[0]]
        return b"{" + b",".join(self.quoted(name) + b":" + value for name, value in pairs) + b"}"

    def attribute(self) -> str:
        """A name of an attribute, a path, or something like one."""
        name = self.pick(ATTRIBUTES)
        return name.swapcase() if self.chance(0.1) else name + self.text() if self.chance(0.03) else name

    def spoilt(self, body: bytes) -> bytes:
        """Mostly the body; else cut, with a byte changed, doubled, deep, or nonsense."""
        dice = self.random.random()
        if dice < 0.88:
            return body
        if dice < 0.91:
            return body[: self.random.randrange(len(body) + 1)]
        if dice < 0.94 and body:
            place = self.random.randrange(len(body))
            return body[:place] + bytes([self.random.randrange(256)]) + body[place + 1 :]
        if dice < 0.96:
            levels = self.pick((11, 12, 13, 200, 3000))
            opening, closing = self.pick(((b"[", b"]"), (b'{"a":', b"}")))
            return b'{"userName":"deep","x":' + opening * levels + b"1" + closing * levels + b"}"
        if dice < 0.98:
            return self.pick((body + body, b"\xef\xbb\xbf" + body, body + b"\x00", b"[" + body + b"]", body.decode(errors="ignore").encode("utf-16")))  # fmt: skip
        return self.random.randbytes(self.random.randrange(60))

    def user(self) -> bytes:
        """A user, more or less."""
        name = self.name()
        pairs = [("schemas", b'["urn:ietf:params:scim:schemas:core:2.0:User"]'), ("userName", self.quoted(name))]
        if self.chance(0.7):
            entry = [("value", self.quoted(name)), ("type", b'"work"'), ("primary", self.pick((b"true", b'"True"')))]
            pairs.append(("emails", b"[" + self.object(entry) + b"]"))
        if self.chance(0.6):
            pairs.append(("externalId", self.quoted(self.text())))
        if self.chance(0.4):
            pairs.append(("active", self.pick((b"true", b"false", b'"False"', b"1"))))
        while self.chance(0.25):
            pairs.append((self.attribute(), self.value()))
        return self.object(pairs)

    def group(self) -> bytes:
        """A group, more or less."""
        pairs = [("displayName", self.quoted(f"group {self.name()}")), ("members", self.members())]
        while self.chance(0.2):
            pairs.append((self.attribute(), self.value()))
        return self.object(pairs)

    def members(self) -> bytes:
        """A list of members, sometimes a long one."""
        many = self.random.randrange(4) if self.chance(0.97) else self.pick((50, 51, 300))
        return b"[" + b",".join(self.object([("value", self.quoted(self.some_id()))]) for _ in range(many)) + b"]"

    def patch(self) -> bytes:
        """PATCH of every shape."""
        operations = [self.operation() for _ in range(self.pick((1, 1, 1, 2, 3, 11)))]
        listed = operations[0] if self.chance(0.05) else b"[" + b",".join(operations) + b"]"
        pairs = [(self.pick(("Operations", "Operations", "operations", "OPERATIONS")), listed)]
        if self.chance(0.7):
            pairs.insert(0, ("schemas", b'["urn:ietf:params:scim:api:messages:2.0:PatchOp"]'))
        return self.object(pairs)

    def operation(self) -> bytes:
        """One operation: a usual one, or with parts of anything."""
        if self.chance(0.35):
            usual = self.pick(
                (
                    [("op", b'"Replace"'), ("path", b'"active"'), ("value", b'"False"')],
                    [("op", b'"replace"'), ("value", b'{"active":false}')],
                    [("op", b'"Add"'), ("path", b'"members"'), ("value", self.members())],
                    [("op", b'"Remove"'), ("path", b'"members"'), ("value", self.members())],
                    [("op", b'"remove"'), ("path", self.quoted(f'members[value eq "{self.some_id()}"]'))],
                    [("op", b'"add"'), ("path", b'"manager"'), ("value", b'[{"$ref":null,"value":' + self.quoted(self.some_id()) + b"}]")],
                    [("op", b'"replace"'), ("path", b'"userName"'), ("value", self.quoted(self.name()))],
                    [("op", b'"add"'), ("value", self.object([(self.attribute(), self.value()) for _ in range(3)]))],
                )
            )  # fmt: skip
            return self.object(usual)
        pairs = [("op", json.dumps(self.pick(OPS)).encode())]
        if self.chance(0.8):
            pairs.append(("path", self.quoted(self.attribute()) if self.chance(0.9) else self.value()))
        if self.chance(0.85):
            pairs.append(("value", self.value()))
        return self.object(pairs)

    def literal(self) -> str:
        """The right side of a comparison."""
        dice = self.random.random()
        if dice < 0.6:
            return json.dumps(self.some_id() if self.chance(0.4) else self.text(), ensure_ascii=self.chance(0.5))
        return self.pick(("true", "null", "1", "-1.5e3", "jyoung", '"open', "NaN", "9" * 30, '"\\ud800"', '"\\u0000"', "2026-11-25T00:00:00Z"))  # fmt: skip

    def term(self) -> str:
        """One comparison."""
        path, operator = self.attribute(), self.pick(OPERATORS)
        return f"{path} pr" if operator == "pr" else f"{path} {operator} {self.literal()}"

    def filter(self) -> str:
        """A filter: usual, combined, giant or nonsense."""
        dice = self.random.random()
        if dice < 0.4:
            name = self.pick(("userName", "externalId", "displayName", "id", 'emails[type eq "work"].value', "emails.value", "meta.created"))  # fmt: skip
            return f"{name} {self.pick(OPERATORS[:9])} {self.literal()}"
        if dice < 0.5:
            return f'id eq "{self.some_id()}" and {self.pick(("members", "manager"))} eq "{self.some_id()}"'
        if dice < 0.8:
            terms = [self.term() for _ in range(self.random.randrange(1, 5))]
            text = f" {self.pick(('and', 'or', 'AND', 'xor'))} ".join(terms)
            return self.pick((text, f"not ({text})", f"({text})", f"emails[{text}]", f"{text})"))
        if dice < 0.86:
            return self.pick(
                (" or ".join(["active pr"] * self.pick((40, 41, 400))), "(" * 50 + "active pr" + ")" * 50, "not " * 30 + "active pr",
                 'userName eq "' + "z" * 3000 + '"', "emails[" * 12 + "type pr" + "]" * 12)
            )  # fmt: skip
        return "".join(self.pick((*ODD_TEXTS[:40], " ", "eq", "(", ")", "[", "]", '"', "userName", ".", "and")) for _ in range(self.random.randrange(8)))  # fmt: skip
