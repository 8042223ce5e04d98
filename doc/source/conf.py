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

"""Sphinx's configuration."""

import importlib.util
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "ext"))

extensions = [
    "accel_tables",
    "import_picture",
    "openstackdocstheme",
    "reno.sphinxext",
]
# The option reference needs the package itself and its conductor side.
if importlib.util.find_spec("ironic") is not None:
    extensions += ["oslo_config.sphinxext",
                   "oslo_config.sphinxconfiggen"]
    config_generator_config_file = [
        ("../../tools/config-generator.conf", "_static/ironic-accel")]

project = "ironic-accel"
copyright = "The ironic-accel authors"
master_doc = "index"
exclude_patterns: list[str] = []
html_theme = "openstackdocs"
pygments_style = "native"
openstackdocs_repo_name = "ironic-accel"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
version = release = ""
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False
