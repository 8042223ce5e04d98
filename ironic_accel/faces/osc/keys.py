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

"""Where the conductor keeps what the API shows of a node.

These names belong to the conductor's side, which is not installed where the
commands run; a test holds the two against each other.
"""

#: Under a node's ``driver_internal_info``.
OPERATION = 'accel_operation'
RECORD = 'accel_record'
RESULT = 'accel_result'
SUMMARY = 'accel_summary'
TRAITS = 'accel_traits'
VOID = 'accel_void'
PROOFS = 'accel_proofs'
APPLIED = 'accel_applied'
GUARD = 'accel_guard'
HOLD = 'accel_hold'

#: The steps of looks that nobody asked for: they are in nobody's way.
UNASKED = frozenset({'look_for_moved', 'verify_accelerators'})

#: Under ``plugin_data`` of a node's inspection data.
STORED = 'accelerators'
#: Before the name of each firmware component of ours.
ROW_PREFIX = 'accel:'
#: The type of our events in a node's history.
EVENT_TYPE = 'accelerator'

#: Under a node's ``extra``, put there by adopt and read by release: what the
#: node had before.
ADOPTED = 'accel_adopted'

#: The vendor interfaces that have our passthru methods.
VENDOR_INTERFACES = frozenset({
    'accelerator', 'accelerator-idrac', 'accelerator-ipmi'})
