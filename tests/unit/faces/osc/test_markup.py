#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""What the page of the report is made of is text, whatever it contains."""

from __future__ import annotations

import html.parser

import pytest

from ironic_accel.faces.osc.report import markup


class Reader(html.parser.HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ''
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize('text', [
    '<script>alert(1)</script>', '"><b onclick=x>', '&amp;&lt;', "'`",
    ']]>', '<!--', '\u2028'.join('ab')])
def test_content_and_attributes_come_back_as_they_were(text: str) -> None:
    made = markup.el('p', text, markup.term(text), markup.words(text),
                     title=text)
    read = Reader(markup.page(made))
    assert set(read.tags) <= {'p', 'span'}
    shown = text.replace('\u2028', '\ufffd')
    assert read.text.strip('\n') == 3 * shown
    assert ('title', shown) in read.attributes


def test_what_cannot_be_printed_is_replaced() -> None:
    made = markup.page(markup.el('p', 'a\x00b\x1b[2J\u202ec\ud800'))
    assert made.encode().decode() == made
    assert '<p>a\ufffdb\ufffd[2J\ufffdc\ufffd</p>' in made


def test_several_lines_are_one() -> None:
    assert '<p>a b c</p>' in markup.page(markup.el('p', 'a\n  b\r\nc'))


@pytest.mark.parametrize('text, cls', [
    ('96.00.A6.00.01', None), ('HGX-22.10', 'term'), ('8 x gpu', 'term'),
    ('x' * 30, 'term wide'), ('x' * 33, 'long')])
def test_a_term_is_broken_only_if_it_is_very_long(
        text: str, cls: str | None) -> None:
    made = markup.el('td', markup.term(text))
    assert [span.get('class') for span in made] == ([cls] if cls else [])
    assert ''.join(made.itertext()) == text


def test_words_with_signs_are_kept_whole() -> None:
    made = markup.el('p', markup.words('a power-cycle of gpu_1, then.'))
    assert [span.text for span in made] == ['power-cycle']
    assert ''.join(made.itertext()) == 'a power-cycle of gpu_1, then.'


@pytest.mark.parametrize('text', ['</script>', 'a = "</style>"', '</'])
def test_a_script_cannot_end_itself(text: str) -> None:
    with pytest.raises(ValueError, match='script: its text contains'):
        markup.raw('script', text)
