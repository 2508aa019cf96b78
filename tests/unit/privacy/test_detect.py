from __future__ import annotations

import pytest

from streamgen.privacy.detect import Kind, detect, luhn, mod97


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
        "lives at 370 3911 Fourth Avenue",
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


def test_one_wrong_digit_breaks_a_checksum() -> None:
    assert luhn("79927398713") and not any(luhn(f"7992739871{digit}") for digit in "012456789")
    assert mod97("DE89370400440532013000") and not mod97("DE88370400440532013000")
