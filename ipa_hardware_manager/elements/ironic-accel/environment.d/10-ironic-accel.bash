# What pip installs: a name with a version, a path or an URL. The agent itself
# is in the ramdisk already, so that the extra "agent" is not wanted here.
export DIB_IRONIC_ACCEL_PACKAGE=${DIB_IRONIC_ACCEL_PACKAGE:-"ironic-accel[inband]"}
# Where ironic-python-agent-ramdisk makes the agent's virtual environment.
export DIB_IRONIC_ACCEL_VENV=${DIB_IRONIC_ACCEL_VENV:-/opt/ironic-python-agent}
# The distribution's own tools, one by one; the vendors' come by elements of
# your own.
export DIB_IRONIC_ACCEL_MSTFLINT=${DIB_IRONIC_ACCEL_MSTFLINT:-1}
export DIB_IRONIC_ACCEL_FWUPD=${DIB_IRONIC_ACCEL_FWUPD:-0}
# The rows of a site's catalogue: a directory of the machine that builds.
export DIB_IRONIC_ACCEL_CATALOGUE=${DIB_IRONIC_ACCEL_CATALOGUE:-}
