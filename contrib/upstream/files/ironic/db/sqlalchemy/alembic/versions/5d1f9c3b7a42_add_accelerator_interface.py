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

"""add accelerator interface

Revision ID: 5d1f9c3b7a42
Revises: 9fb44677ef15
Create Date: 2026-11-28 12:00:00.000000

"""

from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '5d1f9c3b7a42'
down_revision = '9fb44677ef15'


def upgrade():
    op.add_column('nodes', sa.Column('accelerator_interface',
                  sa.String(length=255), nullable=True))
