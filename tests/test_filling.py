"""Filling a page's form with what was typed before, whatever the page looks like."""

from __future__ import annotations

import pytest

from clinic_portal.entrance.filling import fill

PAGE = """<!DOCTYPE html>
<!-- a form with ünïcode, tabs\tand <b>markup</b> around it -->
<p data-filled-note hidden>Filled</p>
<form method="post" novalidate>
  <input type="hidden" name="csrf_token" value="new">
  <input type="hidden" name="step" value="2">
  <label>A &amp; B</label><input type="text" name="name" value="old" disabled>
  <input name="plain"><input type="password" name="secret" value="">
  <textarea name="note" rows="3">before &lt;</textarea>
  <input type="radio" name="when" value="am" checked><input type="radio" name="when" value="pm">
  <input type="checkbox" name="need" value="a"><input type="checkbox" name="need" value="b" checked>
  <input type="checkbox" name="agree">
  <select name="place"><option value="1" selected>One</option><option value="2">Two</option></select>
  <button name="go" value="yes">Go</button>
</form>
<form method="get"><input name="name" value="search"></form>
<form method="post" action="/other"><input name="name" value="other"></form>
<textarea name="name">outside</textarea>
"""
TYPED = [("name", 'Zoë "O’Neil" <x>'), ("plain", "p"), ("secret", "s"), ("note", "two\nlines </textarea>"),
         ("when", "pm"), ("need", "a"), ("agree", "on"), ("place", "2"), ("step", "9"), ("csrf_token", "old"),
         ("go", "no")]  # fmt: skip


def test_each_kind_of_box_says_again_what_was_typed_and_the_rest_of_the_page_stays_as_it_is() -> None:
    filled = fill(PAGE, "/here", "/here", TYPED)
    assert (
        filled
        == """<!DOCTYPE html>
<!-- a form with ünïcode, tabs\tand <b>markup</b> around it -->
<p>Filled</p>
<form method="post" novalidate>
  <input type="hidden" name="csrf_token" value="new">
  <input type="hidden" name="step" value="2">
  <label>A &amp; B</label><input type="text" name="name" value="Zoë &quot;O’Neil&quot; &lt;x&gt;" disabled>
  <input name="plain" value="p"><input type="password" name="secret" value="">
  <textarea name="note" rows="3">
two
lines &lt;/textarea&gt;</textarea>
  <input type="radio" name="when" value="am"><input type="radio" name="when" value="pm" checked>
  <input type="checkbox" name="need" value="a" checked><input type="checkbox" name="need" value="b">
  <input type="checkbox" name="agree" checked>
  <select name="place"><option value="1">One</option><option value="2" selected>Two</option></select>
  <button name="go" value="yes">Go</button>
</form>
<form method="get"><input name="name" value="search"></form>
<form method="post" action="/other"><input name="name" value="other"></form>
<textarea name="name">outside</textarea>
"""
    )


def test_the_form_is_found_by_where_it_is_sent() -> None:
    filled = fill(PAGE, "/here", "/other", [("name", "new")])
    assert filled is not None
    assert '<input name="name" value="new">' in filled
    assert 'value="old"' in filled
    assert fill(PAGE, "/here", "/nowhere", TYPED) is None


def test_of_several_forms_to_one_address_the_one_about_the_same_thing_is_filled() -> None:
    one = '<form method="post" action="/do?x=1"><input type="hidden" name="id" value="{}"><input name="why"></form>'
    page = "".join(one.format(number) for number in range(3))
    filled = fill(page, "/here", "/do", [("id", "1"), ("why", "because")])
    assert filled is not None
    assert [part.count("because") for part in filled.split("</form>")] == [0, 1, 0, 0]
    assert fill(page, "/here", "/do", [("id", "7"), ("why", "because")]) is None


def test_a_page_that_says_the_same_already_is_left_alone() -> None:
    page = '<form method="post"><input name="why" value="so"></form>'
    assert fill(page, "/here", "/here", [("why", "so")]) is None


@pytest.mark.parametrize("page", ["", "<form method=post>", "<textarea name=a>", "plain text", "<form method='post'><"])
def test_a_page_that_is_broken_stays_as_it_is(page: str) -> None:
    assert fill(page, "/here", "/here", [("a", "b")]) is None
