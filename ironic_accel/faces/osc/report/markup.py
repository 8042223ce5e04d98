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

"""HTML elements whose content is always text, wherever it comes from.

A BMC, a tenant or a user may have chosen a name, a model or a reason. The
serializer escapes them; what cannot be printed is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from ironic_accel.model.errors import printable

Element = ElementTree.Element
Content = str | int | Element | None | Iterable['Content']

#: A longer word may be broken, because no column is that wide; between both,
#: on small screens only.
LONGEST_WORD, WIDE_WORD = 32, 26
_SEPARATORS = str.maketrans('', '', '_.:,;')


def el(tag: str, *content: Content, **attributes: str | int | None,
       ) -> Element:
    """An element.

    :param content: texts, elements, and lists of both; None is nothing.
    :param attributes: ``cls`` is the class, and ``_`` in a name is ``-``.
        None leaves one out.
    """
    made = ElementTree.Element(tag, {
        'class' if name == 'cls' else name.replace('_', '-'):
            _clean(str(value))
        for name, value in attributes.items() if value is not None})
    add(made, *content)
    return made


def add(parent: Element, *content: Content) -> None:
    """Add content to an element."""
    for part in content:
        if part is None:
            continue
        if isinstance(part, ElementTree.Element):
            parent.append(part)
        elif isinstance(part, str | int):
            _add_text(parent, _clean(str(part)))
        else:
            add(parent, *part)


def raw(tag: str, text: str, **attributes: str) -> Element:
    """A ``script`` or ``style`` element, whose text is not escaped.

    :raises: ValueError if the text could end the element.
    """
    if '</' in text:
        raise ValueError(f'{tag}: its text contains </')
    made = ElementTree.Element(tag, attributes)
    made.text = text
    return made


def term(text: object, longest: int = LONGEST_WORD) -> Content:
    """A name or a version: it is not broken at its hyphens.

    :param longest: a longer one may be broken anywhere.
    """
    shown = _clean(str(text))
    if _is_kept(shown):
        return shown
    if len(shown) > WIDE_WORD and ' ' in shown:
        return el('span', words(shown))
    if len(shown) > longest:
        return el('span', shown, cls='long')
    return el('span', shown, cls='term' if len(shown) <= WIDE_WORD
              else 'term wide')


def words(text: object) -> list[Content]:
    """A sentence that is broken between words only."""
    found: list[Content] = []
    plain: list[str] = []
    for word in _clean(str(text)).split(' '):
        if _is_kept(word):
            plain.append(word)
            continue
        found += [' '.join([*plain, '']), term(word)]
        plain = ['']
    return [*found, ' '.join(plain)]


def _is_kept(word: str) -> bool:
    """Whether a browser breaks a word nowhere by itself.

    Unicode line breaking (UAX 14) allows no break between letters, digits,
    underscores and the infix separators, but one at most other signs.
    """
    return len(word) <= WIDE_WORD and (
        not word or word.translate(_SEPARATORS).isalnum())


def code(command: str) -> Element:
    """A command: its options are not broken."""
    return el('code', words(command))


def page(html: Element) -> str:
    """The document of an ``html`` element."""
    return '<!DOCTYPE html>\n' + ElementTree.tostring(
        html, encoding='unicode', method='html') + '\n'


def _clean(text: str) -> str:
    return printable(' '.join(text.split()) if '\n' in text else text)


def _add_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or '') + text
    else:
        parent.text = (parent.text or '') + text
