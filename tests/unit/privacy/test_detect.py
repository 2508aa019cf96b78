from __future__ import annotations

import pytest

from streamgen.privacy.checksums import luhn, mod97
from streamgen.privacy.detect import KINDS, Kind, Span, detect, detect_all


def found(text: str) -> list[tuple[str, Kind]]:
    return [(text[start:end], kind) for start, end, kind in detect(text)]


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("mail jo.doe+x@mail.example.co.uk.", "jo.doe+x@mail.example.co.uk", "email"),
        ("İ jo@exämple.de", "jo@exämple.de", "email"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "DE89 3704 0044 0532 0130 00", "iban"),
        ("gb82west12345698765432", "gb82west12345698765432", "iban"),
        ("card 4111 1111 1111 1111!", "4111 1111 1111 1111", "card"),
        ("378282246310005", "378282246310005", "card"),
        ("host 10.0.0.1:8080", "10.0.0.1", "ip"),
        ("at 2001:db8::ff00:42:8329, up", "2001:db8::ff00:42:8329", "ip"),
        ("call +49 (0)30 123456", "+49 (0)30 123456", "phone"),
        ("call (555) 123-4567 x12", "(555) 123-4567 x12", "phone"),
        ("call 467 3395 now", "467 3395", "phone"),
        ("467 3395 office", "467 3395", "phone"),
        ("01.84.17.61.18", "01.84.17.61.18", "phone"),
        ("Tel. 030/1234567", "030/1234567", "phone"),
        ("Phone:9498777106", "9498777106", "phone"),
        ("lives at 370 3911 Fourth Avenue", "3911 Fourth Avenue", "address"),
        ("Bahnhofstraße 12a, Bonn", "Bahnhofstraße 12a", "address"),
        ("SSN 054-28-6917.", "054-28-6917", "ssn"),
        ("mac 00:1A:2b:3c:4D:5e", "00:1A:2b:3c:4D:5e", "mac"),
        ("born on 12/03/1990.", "12/03/1990", "birth_date"),
        ("DOB: March 3rd, 1990", "March 3rd, 1990", "birth_date"),
        ("id AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "secret"),
        ('"password": "hunter2000"', "hunter2000", "secret"),
        ("a eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln b", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln", "jwt"),
    ],
)
def test_each_form_is_found_with_its_exact_span(text: str, value: str, kind: Kind) -> None:
    assert found(text) == [(value, kind)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a@b, @handle, x@y@z",
        "4111 1111 1111 1112",  # Luhn
        "GB82WEST12345698765433",  # modulo 97
        "999.1.1.1 and v1.2.3.4",
        "std::vector at 10:30:45",
        "on 2023-04-01, 01/04/2023 and 1.4.2023",
        "price 1,234,567.89 or $5550123",
        "pi is 3.14159265358979",
        "order 20240115123456",
        "my account is 12345678 since 2019",
        "version 10.2.3.4.5 and 1.2.3",
        "see https://example.org/item/5551234567 and https://x.com",
        "000-12-3456, 666-12-3456, 912-12-3456 and 123-00-4567",
        "password: required, token: none",
        "born free, 12/03/1990",
        "1990 Dodge drives well",
        "1 2 3 4 5 6 7 8",
        "100 200 300, 10 000 000, 00000000",
        "0.123456789",
        "years 2019 2020 2021",
        "ISBN 978-3-16-148410-0",
        "١٢٣ ٤٥٦ ٧٨٩٠",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_spans_never_overlap_and_the_earlier_kind_has_the_text() -> None:
    text = "4111111111111111@example.org, 4111 1111 1111 1111 and +1 555 123 4567"
    assert found(text) == [
        ("4111111111111111@example.org", "email"),
        ("4111 1111 1111 1111", "card"),
        ("+1 555 123 4567", "phone"),
    ]


def test_only_the_kinds_that_are_asked_for_are_found() -> None:
    assert [span.kind for span in detect("jo@example.org 10.0.0.1", ["ip"])] == ["ip"]


@pytest.mark.parametrize("text", ["a.a@" * 20_000, "1" * 100_000, "a@" + "a-" * 50_000, "+1 (0)" * 10_000])
def test_hostile_texts_hold_no_personal_data_and_end(text: str) -> None:
    assert all(len(value) < 100 for value, _ in found(text))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("(see https://example.org/a?b=c).", "https://example.org/a?b=c"),
        ("www.example.org!", "www.example.org"),
        ("https://bücher.example/", "https://bücher.example/"),
    ],
)
def test_punctuation_behind_a_url_is_no_part_of_it(text: str, url: str) -> None:
    assert [text[start:end] for start, end, _ in detect(text, ["url"])] == [url]


def test_a_private_key_is_found_whole_and_cut_off() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-128\nabc\n-----END RSA PRIVATE KEY-----"
    assert found(f"a {key} b") == [(key, "pem")]
    assert found(key[:50]) == [(key[:50], "pem")]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("NHS number 943 476 5919", ["943 476 5919"]),
        ("NHS number 943 476 5918", []),
        ("943 476 5919", []),
        ("CPF: 390.533.447-05", ["390.533.447-05"]),
    ],
)
def test_a_national_id_needs_its_name_and_its_check_digit(text: str, values: list[str]) -> None:
    assert [text[start:end] for start, end, _ in detect(text, ["national_id"])] == values


def test_many_texts_have_their_spans_each() -> None:
    assert detect_all(["", "jo@example.org"]) == [[], [Span(0, 14, "email")]]


@pytest.mark.parametrize(
    "piece",
    [
        "a.a@",
        "1",
        "+1 (0)",
        "a-",
        "1:",
        "-----BEGIN PRIVATE KEY-----",
        "eyJa.",
        "http://",
        "12 A ",
        "born 1/",
        "nhs 1 ",
        "A",
    ],
)
def test_a_megabyte_of_hostile_text_ends(piece: str) -> None:
    detect(piece * (1_000_000 // len(piece)), KINDS)


def test_one_wrong_digit_breaks_a_checksum() -> None:
    assert luhn("79927398713") and not any(luhn(f"7992739871{digit}") for digit in "012456789")
    assert mod97("DE89370400440532013000") and not mod97("DE88370400440532013000")
