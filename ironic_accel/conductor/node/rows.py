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

"""Nodes by what stands in their internal info, out of the database.

Ironic has no filter for it; left to its objects, every look for a few of
them would read the internal info of a whole cloud.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from typing import Any

import sqlalchemy


def containing(words: Iterable[str], columns: Collection[str]) -> list[Any]:
    """Nodes whose internal info has one of some words in it.

    What is found may have the word elsewhere: look at it.

    :param columns: what to read beside ``driver_internal_info``.
    """
    from ironic.db.sqlalchemy import models
    column = sqlalchemy.type_coerce(
        models.Node.driver_internal_info, sqlalchemy.Text)
    return having(sqlalchemy.or_(*(
        column.contains(w, autoescape=True) for w in words)), columns)


def having(condition: Any, columns: Collection[str]) -> list[Any]:
    """Nodes that a condition of SQLAlchemy's is true of."""
    from ironic.db.sqlalchemy import api as db_api
    from ironic.db.sqlalchemy import models
    wanted = [getattr(models.Node, c)
              for c in {*columns, 'driver_internal_info'}]
    with db_api._session_for_read() as session:
        return list(session.execute(
            sqlalchemy.select(*wanted).where(condition)))
